"""The page of a profile: the sentence, each part, the timeline; a name stays text, and a browser reads it."""

from __future__ import annotations

import shutil

import pytest

from harness.profiled import Counter, ProfileDocument
from harness.runner.profiling.bounds import bound
from reports.page import profile
from tests.support.profiles import CEILINGS, case_profile, part

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def page(**changes):
    found = case_profile(**changes)
    known = {"profile": found, "bound": bound(found, CEILINGS), "ceilings": CEILINGS, "commands": ["perf stat -- x"]}
    known["counters"] = [Counter(name="dram__bytes_read.sum", value=2.0, unit="byte")]
    return profile.html(ProfileDocument(**known))


def test_the_page_has_the_sentence_the_parts_the_timeline_and_the_lines_to_paste():
    text = page()
    assert "Arithmetic bounds it: 80.0 MFLOP at 100 GFLOP/s take 800 µs" in text
    assert '<th scope="row">aten::bmm</th><td>70.0%</td><td>700 µs</td><td>2</td>' in text
    assert "What does the call hold, and when?" in text
    assert text.count("Its allocations hold at most") == 2
    assert "perf stat -- x" in text
    assert "dram__bytes_read.sum</th><td>2</td><td>byte</td>" in text
    assert "It allocates nothing." in page(allocated_bytes=0)


def test_a_name_with_tags_is_no_tag():
    text = page(parts=[part("<script>alert(1)</script>", 1e-3)])
    assert "<script" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.browser
def test_everyone_can_read_it_in_light_and_dark_wide_and_narrow(tmp_path):
    if CHROMIUM is None:
        pytest.skip("no Chromium browser is installed")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    from playwright.sync_api import sync_playwright

    file = tmp_path / "profile.html"
    long = part("void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm_bf16_64x64_32x6>(Params)" * 2, 1e-3)
    file.write_text(page(parts=[*case_profile().parts, long]), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for scheme, width in (("light", 1440), ("dark", 390)):
            view = browser.new_context(offline=True, color_scheme=scheme, viewport={"width": width, "height": 900})
            shown = view.new_page()
            shown.goto(file.as_uri())
            assert shown.evaluate("document.documentElement.scrollWidth") <= width
            assert [rule["id"] for rule in axe.Axe().run(shown).response["violations"]] == []
        browser.close()
