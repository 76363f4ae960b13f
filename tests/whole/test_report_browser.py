"""The page in a real browser with the network refused: no console error, no request, and everything on it works."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from harness.records import Allocation, Launch, Telemetry
from reports import units
from reports.page.render import render
from tests.support import accessible, runs

pytestmark = pytest.mark.browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SWEPT = ("sequence-length", "batch", "multihead-length")


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium browser is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    return render([runs.make_run(folder / "example", sweeps=SWEPT)], folder / "report.html")


@pytest.fixture(scope="module")
def gpu_report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu")
    return render([runs.make_gpu_run(folder / "example")], folder / "report.html")


# Pages of both kinds of device: the second has throttling, launches, fresh memory and published figures.
PAGES = ("report", "gpu_report")


@pytest.fixture
def view(browser):
    """Open a page; closing it checks that nothing went to the console and nothing was requested."""
    contexts, said, asked = [], [], []

    def start(path, **options):
        context = browser.new_context(offline=True, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        return page

    yield start
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "blob:"))] == []


def unfold(page):
    page.evaluate("document.querySelectorAll('details').forEach((item) => { item.open = true; })")


def cells(page, column):
    headings = page.locator("#case-table thead th").all_inner_texts()
    return page.locator(f"#case-table tbody tr[data-row] td:nth-child({headings.index(column) + 1})").all_inner_texts()


def seconds(text):
    number, unit = text.split()
    return float(number.replace(",", "")) * {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]


def test_the_policy_stops_a_request_that_a_page_would_make(browser, report, tmp_path):
    spoilt = tmp_path / "spoilt.html"
    text = report.read_text(encoding="utf-8").replace("</main>", '<img src="https://example.org/x.png"></main>')
    spoilt.write_text(text, encoding="utf-8")
    page = browser.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(spoilt.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.close()
    assert any("Content Security Policy" in line for line in said)


def test_a_click_on_a_heading_sorts_and_another_reverses(view, report):
    page = view(report)
    heading = page.get_by_role("button", name="time", exact=True)
    heading.click()
    rising = [seconds(text) for text in cells(page, "time")]
    assert rising == sorted(rising)
    heading.click()
    falling = [seconds(text) for text in cells(page, "time") if text != units.ABSENT]
    assert falling == sorted(falling, reverse=True)
    assert falling[0] > rising[-1]
    expect(page.locator('#case-table th[aria-sort="descending"]')).to_have_count(1)


def test_filters_narrow_the_table(view, report):
    page = view(report)
    page.get_by_label("search").fill("flash 4096")
    expect(page.locator("#case-count")).to_contain_text(re.compile(r"^1 of "))
    page.get_by_label("search").fill("")
    page.locator("#case-status").select_option("crashed")
    assert cells(page, "implementation") == ["sdpa-cudnn"]
    assert "SIGSEGV" in cells(page, "reason")[0]


def test_a_row_opens_to_its_samples_and_how_to_measure_it_again_by_keyboard(view, report):
    page = view(report)
    page.locator("#case-table .open").first.focus()
    page.keyboard.press("Enter")
    detail = page.locator("tr.detail")
    expect(detail).to_have_count(1)
    expect(detail.get_by_role("img", name="21 samples in order of time")).to_be_visible()
    expect(detail).to_contain_text("attnbench run sequence-length --impl loop -a")
    page.keyboard.press("Enter")
    expect(detail).to_have_count(0)


def test_pages_turn(view, report):
    page = view(report)
    first = cells(page, "sizes")
    page.get_by_role("button", name="Next").click()
    assert cells(page, "sizes") != first
    expect(page.locator("#case-pages")).to_contain_text("page 2 of")


def test_the_explorer_draws_what_is_chosen_and_links_to_it(view, report):
    page = view(report)
    page.locator("#explore-scenario").select_option("batch")
    page.locator("#explore-y").select_option("extra_bytes")
    page.locator("#explore-x").select_option("batch")
    page.locator("#explore-facet").select_option("implementation")
    expect(page.locator("#plots canvas")).to_have_count(7)
    expect(page.locator("#plots h4").first).to_have_text("implementation: batched")
    link = page.locator("#view-link").get_attribute("href")
    page.goto("about:blank")
    again = view(report)
    again.goto(report.as_uri() + link)
    again.wait_for_selector("html[data-ready]")
    expect(again.locator("#plots canvas")).to_have_count(7)
    assert again.locator("#explore-y").input_value() == "extra_bytes"


def test_the_explorer_paints_points_in_the_colour_of_the_implementation(view, report):
    page = view(report)
    page.locator("#explore-implementation").select_option("batched")
    painted = page.evaluate(
        """() => {
          const canvas = document.querySelector("#plots canvas");
          const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          let count = 0;
          for (let i = 0; i < pixels.length; i += 4)
            if (pixels[i] === 0xd5 && pixels[i + 1] === 0x5e && pixels[i + 2] === 0) count += 1;
          return count;
        }"""
    )
    assert painted > 100


def test_the_explorer_draws_every_point_of_the_largest_size(view, report):
    page = view(report)
    colors = page.evaluate(
        """() => {
          const canvas = document.querySelector("#plots canvas");
          const scale = devicePixelRatio, plot = document.querySelector("#plots .u-over").getBoundingClientRect();
          const frame = canvas.getBoundingClientRect();
          const x = Math.round((plot.right - frame.left) * scale) - 60, found = new Set();
          const pixels = canvas.getContext("2d").getImageData(x, 0, 60, canvas.height).data;
          for (let i = 0; i < pixels.length; i += 4)
            if (pixels[i + 3] === 255) found.add([pixels[i], pixels[i + 1], pixels[i + 2]].join());
          return [...found];
        }"""
    )
    # batched, einsum, loop, online: the baseline's and flash's points may hide others.
    assert {"213,94,0", "168,121,0", "85,92,100", "0,135,95"} <= set(colors)


def test_a_download_has_the_points_of_the_plot_and_no_others(view, report):
    page = view(report)
    page.locator("#explore-scenario").select_option("")
    page.locator("#explore-y").select_option("power_w")
    shown = int(page.locator("#explore-count").inner_text().split(" of ")[0].replace(",", ""))
    timed = int(page.locator("#explore-count").inner_text().split(" of ")[1].split()[0].replace(",", ""))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    rows = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert 0 < len(rows) == shown < timed
    assert all(row["power_w"] is not None for row in rows)


def test_what_is_shown_can_be_downloaded(view, report, tmp_path):
    page = view(report)
    page.locator("#explore-scenario").select_option("batch")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "view.csv")
    with (tmp_path / "view.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    # The seven cases at batch 1 were measured for the sweep over n.
    assert len(rows) == 63 - 7
    assert all(float(row["median_s"]) > 0 for row in rows)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    assert len(json.loads(download.value.path().read_text(encoding="utf-8"))) == len(rows)


@pytest.mark.parametrize("pages", PAGES)
def test_what_axe_looks_at_has_every_kind_of_element_that_the_page_has(view, request, pages):
    page = view(request.getfixturevalue(pages))
    of_all = accessible.kinds(page)
    accessible.thin(page)
    assert accessible.kinds(page) == of_all


@pytest.mark.parametrize("pages", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_no_violation(view, request, pages, scheme, width):
    page = view(request.getfixturevalue(pages), color_scheme=scheme, viewport={"width": width, "height": 900})
    page.locator("#case-table .open").first.click()
    accessible.thin(page)
    assert accessible.violations(page) == []
    unfold(page)
    assert accessible.violations(page) == []


def test_axe_finds_a_violation_that_is_planted(browser, report):
    page = browser.new_page()
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.evaluate("""() => {
      document.querySelector('main').append(document.createElement('input'));
      document.querySelector('#case-table tbody tr[data-row]:last-child td:nth-child(2)').style.color = '#f8f8f8';
    }""")
    accessible.thin(page)
    found = dict(accessible.violations(page))
    page.close()
    assert {"label", "color-contrast"} <= found.keys()


def test_the_page_is_never_wider_than_the_screen(view, report):
    page = view(report)
    for unfolds in (False, True):
        if unfolds:
            unfold(page)
        for width in (360, 390, 768, 1440, 2560):
            page.set_viewport_size({"width": width, "height": 800})
            # The explorer draws itself anew once the window has its size.
            page.wait_for_function("(width) => document.documentElement.scrollWidth <= width", arg=width)


def luminance(color):
    channels = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("pages", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_in_figures_can_be_read_in_light_and_dark(view, request, pages, scheme):
    page = view(request.getfixturevalue(pages), color_scheme=scheme)
    unfold(page)
    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    inks = page.evaluate(
        "[...new Set([...document.querySelectorAll('.drawing svg text')].map((t) => getComputedStyle(t).fill))]"
    )
    for ink in inks:
        if ink == "rgb(32, 38, 44)":
            continue  # Written on the light cells of a heat map, which stay light.
        bright, dark = max(luminance(ink), paper), min(luminance(ink), paper)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, ink


def test_the_button_changes_the_colour_scheme(view, report):
    page = view(report, color_scheme="light")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


@pytest.mark.parametrize("pages", PAGES)
def test_no_two_texts_of_a_figure_overlap(view, request, pages):
    page = view(request.getfixturevalue(pages))
    unfold(page)
    overlapping = page.evaluate(
        """() => [...document.querySelectorAll(".drawing svg")].flatMap((svg) => {
          const texts = [...svg.querySelectorAll("text")];
          const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
          const found = [];
          for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
            const [a, p] = boxes[i], [b, q] = boxes[j];
            const across = Math.min(p.right, q.right) - Math.max(p.left, q.left);
            const down = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
            if (across > 1 && down > 5) found.push(`${svg.closest("figure").id}: ${a} / ${b}`);
          }
          return found;
        })"""
    )
    assert overlapping == []


@pytest.mark.parametrize("pages", PAGES)
def test_no_text_of_a_figure_is_cut_off(view, request, pages):
    page = view(request.getfixturevalue(pages))
    unfold(page)
    cut = page.evaluate(
        """() => [...document.querySelectorAll(".drawing svg")].flatMap((svg) => {
          const frame = svg.closest(".drawing").getBoundingClientRect();
          return [...svg.querySelectorAll("text")].filter((text) => {
            const box = text.getBoundingClientRect();
            return box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1;
          }).map((text) => `${svg.closest("figure").id}: ${text.textContent}`);
        })"""
    )
    assert cut == []


def test_a_case_opens_to_its_launch_its_fresh_memory_and_when_it_was_throttled(view, gpu_report):
    page = view(gpu_report)
    detail = page.locator("tr.detail")
    for words, expected in (
        ("sdpa-flash 512", "200 calls, 4 input sets"),
        ("sdpa-flash 4096", "1.20× (95 %: 1.10 to 1.30)"),  # noqa: RUF001
        ("sdpa-flash 8192", "clocks held back: software power cap"),
        ("sdpa-flash 8192", "driver counts for the process"),
        ("sdpa-flash 8192", "NVIDIA H100 80GB HBM3"),
    ):
        page.get_by_label("search").fill(words)
        expect(page.locator("#case-count")).to_contain_text("1 of ")
        page.locator("#case-table .open").first.click()
        expect(detail).to_contain_text(expected)
        page.locator("#case-table .open").first.click()


def test_the_answer_and_its_table_stand_on_the_first_screen(view, report):
    page = view(report, viewport={"width": 1440, "height": 900})
    bottom = page.evaluate("document.querySelector('.verdicts').getBoundingClientRect().bottom")
    assert 0 < bottom <= 900


@pytest.mark.parametrize("pages", PAGES)
def test_a_folded_page_is_not_long(view, request, pages):
    page = view(request.getfixturevalue(pages), viewport={"width": 1440, "height": 900})
    folded = page.evaluate("document.documentElement.scrollHeight")
    assert folded <= 12_000
    unfold(page)
    assert page.evaluate("document.documentElement.scrollHeight") > folded + 1000


def test_every_entry_of_the_contents_leads_somewhere_and_opens_it(view, report):
    page = view(report, viewport={"width": 1440, "height": 900})
    links = page.locator(".contents a")
    assert links.count() > 12
    for place in links.evaluate_all("(links) => links.map((link) => link.hash)"):
        expect(page.locator(place)).to_have_count(1)
    page.locator(".contents").get_by_role("link", name="batch", exact=True).first.click()
    expect(page.locator("figure[id^=time-][id*=-batch-]").first).to_be_in_viewport()


def test_a_tile_leads_to_the_figure_of_its_answer(view, report):
    page = view(report, viewport={"width": 1440, "height": 900})
    page.get_by_role("link", name="operations grow as n² d").click()
    expect(page.locator("figure[id^=operations-]").first).to_be_in_viewport()


@pytest.mark.parametrize("form", ["SVG", "PNG", "CSV"])
def test_a_figure_is_taken_away_as_it_stands(view, report, form):
    page = view(report, color_scheme="dark")
    title = "Time against tokens n"
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Save {title} as {form}").first.click()
    content = download.value.path().read_bytes()
    assert download.value.suggested_filename.startswith("time-example-sequence-length-")
    if form == "PNG":
        assert content[:4] == b"\x89PNG"
        assert len(content) > 20_000
    elif form == "SVG":
        assert b"var(--" not in content
        assert b'fill="#14181c"' in content
    else:
        table = list(csv.DictReader(content.decode().splitlines()))
        assert len(table) == 7 * 13
        assert all(float(row["time (s)"]) > 0 for row in table)


def test_print_loses_nothing(view, report):
    page = view(report, viewport={"width": 720, "height": 1000})
    everything = int(page.locator("#case-count").inner_text().split(" of ")[1].split()[0])
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#case-table tbody tr[data-row]").count() == everything
    assert page.locator("details:not([open])").count() == 0
    # Paper doesn't scroll: what is wider than it is cut off.
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#case-table tbody tr[data-row]").count() == 15
    page.emulate_media(media=None)
    assert len(page.pdf()) > 100_000


def test_without_scripts_the_figures_and_verdicts_are_there(browser, report):
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(report.as_uri())
    expect(page.locator(".verdicts")).to_be_visible()
    evidence = page.locator(".evidence").first
    expect(evidence).to_be_hidden()
    page.locator(".verdicts summary").first.click()
    expect(evidence).to_contain_text("time n¹·⁹⁸")
    page.locator("details.section > summary").first.click()
    expect(page.locator("details.section .drawing svg").first).to_be_visible()
    expect(page.locator(".take button")).to_have_count(0)
    expect(page.locator(".drawing svg").first).to_be_visible()
    expect(page.get_by_text("need JavaScript")).to_be_visible()
    context.close()


EVIL = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"


def hostile(folder):
    record = runs.ok_record("batched", n=64, d=64, heads=2, batch=1)
    evil = record.model_copy(
        update={
            "case": record.case.model_copy(update={"implementation": EVIL, "id": "e" * 16}),
            "notes": [EVIL],
            "agreement": record.agreement.model_copy(update={"worst": EVIL}),
        }
    )
    stderr = f"{EVIL}\n" + "x" * 10_000_000
    return [
        evil,
        runs.failed_record(EVIL + "2", "crashed", stderr, n=128, d=64, heads=2, batch=1),
        runs.failed_record("quote\"'`]]>", "timeout", "</script></style><!--", n=256, d=64, heads=2, batch=1),
    ]


def with_gaps(folder):
    record = runs.ok_record("batched", n=64, d=64, heads=2, batch=1)
    time = record.time.model_copy(update={"low": None, "high": None, "samples": [1e-3], "canary": []})
    checks = [check.model_copy(update={"error": None, "ratio": None}) for check in record.agreement.checks]
    agreement = record.agreement.model_copy(update={"checks": checks})
    return [record.model_copy(update={"time": time, "agreement": agreement, "memory": None, "counts": None})]


def evil_everywhere(folder):
    """Put markup into every text that the newer figures and tables show."""
    record = runs.ok_record("batched", n=64, d=64, heads=2, batch=1)
    spans = [(0.5, 1.0, EVIL), (2.0, 2.0, EVIL)]
    telemetry = Telemetry(
        series={"clock_mhz": [(0.0, 1980.0), (3.0, 1700.0)], EVIL: [(0.0, 1.0)]},
        summary={EVIL: 1.0, "sustained_flops": 1e12, "burst_flops": 2e12}, throttle=[EVIL], throttle_spans=spans,
        reasons={EVIL: EVIL}, started=1.77e9,
    )  # fmt: skip
    fresh = Allocation(returned=2.0, kept=1.0, ratio=2.0, faults_returned=1.0, faults_kept=0.0, rounds=1)
    case = record.case.model_copy(update={"implementation": EVIL})
    return [
        record.model_copy(
            update={"case": case, "telemetry": telemetry, "allocation": fresh, "launch": Launch(reason=EVIL)}
        )
    ]


HOSTILE = {
    "hostile texts": hostile,
    "no case": lambda _: [],
    "one case": lambda _: [runs.ok_record("batched", n=64, d=64, heads=2, batch=1)],
    "all failed": lambda _: [
        runs.failed_record("batched", "oom", "out of memory", n=2**k, d=64, heads=2, batch=1) for k in range(6, 10)
    ],
    "gaps": with_gaps,
    "hostile telemetry": evil_everywhere,
}


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_json_does_not_have_is_told_as_a_damaged_line(view, tmp_path, number):
    record = runs.ok_record("batched", n=64, d=64, heads=2, batch=1)
    time = record.time.model_copy(update={"samples": [1e-3, number]})
    runs.write_run(tmp_path / "run", [], judged=False)
    line = json.dumps(
        {"kind": "record", "record": record.model_copy(update={"time": time}).model_dump(mode="json", by_alias=True)}
    )
    (tmp_path / "run" / "journal.jsonl").write_text(line + "\n", encoding="utf-8")
    page = view(render([tmp_path / "run"], tmp_path / "report.html"))
    unfold(page)
    doubts = page.locator(".doubts").inner_text()
    assert "1 line of the journal is torn or damaged, and left out: line 1 has" in doubts
    assert "in the place of a finite number" in doubts
    assert page.locator("#case-table tbody tr[data-row]").count() == 0


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_run_renders_and_stays_text(view, tmp_path, name):
    records = HOSTILE[name](tmp_path)
    lines = "".join(
        json.dumps({"kind": "record", "record": record.model_dump(mode="json", by_alias=True)}) + "\n"
        for record in records
    )
    runs.write_run(tmp_path / "run", [], judged=False)
    (tmp_path / "run" / "journal.jsonl").write_text(lines, encoding="utf-8")
    page = view(render([tmp_path / "run"], tmp_path / "report.html"))
    assert "owned" not in page.title()
    assert page.locator("img").count() == 0
    assert page.locator("#case-table tbody tr[data-row]").count() == len(records)
    for index in range(len(records)):
        page.locator("#case-table .open").nth(index).click()
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


def test_runs_of_different_machines_stand_side_by_side(view, tmp_path):
    gpu = runs.make_gpu_run(tmp_path / "gpu")
    cpu = runs.make_run(tmp_path / "cpu", sweeps=("batch",), judged=False)
    stopped = runs.make_run(tmp_path / "stopped", sweeps=("batch",), complete=False)
    (stopped / "summary.json").unlink()
    page = view(render([gpu, cpu, stopped], tmp_path / "report.html"))
    expect(page.locator(".label")).to_have_text(["gpu", "cpu", "stopped"])
    expect(page.locator("#runs")).to_contain_text("NVIDIA H100 80GB HBM3")
    expect(page.locator(".run").nth(2)).to_contain_text("interrupted or is still under way")
    expect(page.locator("#speed")).to_contain_text("Throughput against tokens n")


def test_several_runs_stand_side_by_side(view, tmp_path):
    sweeps = ("sequence-length",)
    slow = runs.make_run(tmp_path / "old", sweeps=sweeps, failures=False)
    fast = runs.make_run(tmp_path / "new", sweeps=sweeps, failures=False, speed=2.0, seed=1, device_name="Another CPU")
    page = view(render([slow, fast], tmp_path / "report.html"))
    expect(page.locator(".label")).to_have_text(["Which law holds where", "old", "new"])
    finding = page.locator("#runs .finding").first.inner_text()
    assert re.search(r"is 0\.(49|50)\d. the time of old: new is faster", finding), finding
    expect(page.locator("#runs")).to_contain_text("Another CPU")
    expect(page.locator("#case-table thead th").first).to_have_text("run")
