"""Every kind of page in a real browser: axe finds nothing, however small; folded, a page of a run is not long."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import sync_playwright

from harness.profiled import Counter, ProfileDocument
from harness.runner.profiling.bounds import bound
from reports.page import profile
from reports.page.render import render
from tests.support import accessible, runs
from tests.support.commands import in_process
from tests.support.parts import change, make_parts
from tests.support.places import ROOT
from tests.support.profiles import CEILINGS, case_profile

pytestmark = pytest.mark.browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SMALL = {"sweeps": ("heads",), "failures": False}
LONGEST = 12_000


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium browser is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def default(folder):
    return render([runs.make_run(folder / "run")], folder / "page.html")


def stored(folder):
    return render([ROOT / "docs" / "samples" / "h100"], folder / "page.html")


def merged(folder):
    parts = make_parts(folder / "parts", count=2)
    change(parts[1] / "environment.json", id="bbbb")
    assert in_process("merge", *parts, "-o", folder / "all", "-q").exit_code == 0
    return render([folder / "all"], folder / "page.html")


def measured(folder):
    """Write two runs that differ."""
    return [
        runs.make_run(folder / name, seed=speed, speed=1.0 / speed, **SMALL) for name, speed in (("a", 1), ("b", 2))
    ]


def compared(folder):
    assert in_process("compare", *measured(folder), "-o", folder / "page.html").exit_code == 0
    return folder / "page.html"


def history(folder):
    assert in_process("history", *measured(folder), "-o", folder / "page.html").exit_code == 0
    return folder / "page.html"


def profiled(folder):
    taken = case_profile()
    document = ProfileDocument(
        profile=taken,
        bound=bound(taken, CEILINGS),
        ceilings=CEILINGS,
        commands=["perf stat -- x"],
        counters=[Counter(name="dram__bytes_read.sum", value=2.0, unit="byte")],
    )
    (folder / "page.html").write_text(profile.html(document), encoding="utf-8")
    return folder / "page.html"


PAGES = {made.__name__: made for made in (default, stored, merged, compared, history, profiled)}


@pytest.fixture(scope="module", params=PAGES)
def written(request, tmp_path_factory):
    """Each kind of page, as a file."""
    return PAGES[request.param](tmp_path_factory.mktemp(request.param))


def opened(browser, written):
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
    page.goto(written.as_uri())
    page.wait_for_load_state()
    return page


@pytest.fixture(scope="module")
def page(browser, written):
    """Each kind of page, opened once on a wide and bright screen."""
    page = opened(browser, written)
    yield page
    page.close()


@pytest.fixture(scope="module")
def thinned(browser, written):
    """The same without what is alike; a test sets the size and the colours that it looks at."""
    page = opened(browser, written)
    accessible.thin(page)
    yield page
    page.close()


def test_no_figure_shows_the_markup_of_mathematics(page):
    assert (
        page.evaluate("[...document.querySelectorAll('svg text')].filter(e => e.textContent.includes('$')).length") == 0
    )


@pytest.mark.parametrize("written", [made.__name__ for made in (default, stored, merged, compared)], indirect=True)
def test_a_folded_page_of_a_run_is_not_long(page):
    assert page.evaluate("document.documentElement.scrollHeight") <= LONGEST


@pytest.mark.parametrize("written", ["default"], indirect=True)
def test_axe_finds_no_violation_where_nothing_is_left_out(page):
    assert accessible.violations(page) == []


OTHERS = [name for name in PAGES if name != "default"]


# The default page is that of test_report_browser.py, which looks at it so.
@pytest.mark.parametrize("written", OTHERS, indirect=True)
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")])
def test_axe_finds_no_violation(thinned, width, scheme):
    thinned.set_viewport_size({"width": width, "height": 900})
    thinned.emulate_media(color_scheme=scheme)
    assert accessible.violations(thinned) == []


@pytest.mark.parametrize("written", OTHERS, indirect=True)
def test_axe_finds_no_violation_in_what_opens(thinned):
    thinned.set_viewport_size({"width": 1440, "height": 900})
    thinned.emulate_media(color_scheme="light")
    thinned.evaluate("document.querySelectorAll('details').forEach((item) => { item.open = true; })")
    assert accessible.violations(thinned) == []
