"""The lesson's page in a real browser with the network refused: nothing is asked for, and everyone can read it."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import sync_playwright

from harness.lesson import systems
from harness.results.run import read_run
from reports.lesson import page
from reports.lesson.lines import LINES
from tests.harness.lesson.test_lesson import make_run, make_verdict
from tests.support import accessible

pytestmark = pytest.mark.browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory = make_run(
        tmp_path_factory.mktemp("lesson"), systems.lesson(), [make_verdict(line, "confirmed") for line in LINES]
    )
    return page.write(read_run(directory))


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium browser is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_lesson_asks_for_nothing_and_fits_every_reader(browser, written, scheme, width):
    context = browser.new_context(offline=True, color_scheme=scheme, viewport={"width": width, "height": 900})
    view = context.new_page()
    said, asked = [], []
    view.on("console", lambda message: said.append(message.text))
    view.on("request", lambda request: asked.append(request.url))
    view.goto(written.as_uri())
    assert said == []
    assert asked == [written.as_uri()]
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    accessible.thin(view)
    found = accessible.violations(view)
    context.close()
    assert found == []


def test_a_picture_from_elsewhere_would_be_refused(browser, written, tmp_path):
    spoilt = tmp_path / "spoilt.html"
    text = written.read_text(encoding="utf-8").replace("</main>", '<img src="https://example.org/x.png"></main>')
    spoilt.write_text(text, encoding="utf-8")
    view = browser.new_page()
    said = []
    view.on("console", lambda message: said.append(message.text))
    view.goto(spoilt.as_uri())
    view.close()
    assert any("Content Security Policy" in line for line in said)
