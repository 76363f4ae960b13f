"""The report's data flow: run directory -> table -> page, summary, exports."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from typing import NamedTuple

import pytest

from harness.results.journal import JournalError
from harness.results.run import read_run
from harness.results.schema import SchemaMismatchError
from reports import units
from reports.exports.markdown import markdown
from reports.frame import COLUMNS, load
from reports.page.render import render
from tests.support import runs
from tests.support.commands import in_process


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    sweeps = ("sequence-length", "grid", "multihead-length", "pooling-size")
    return runs.make_run(tmp_path_factory.mktemp("runs") / "example", sweeps=sweeps)


@pytest.fixture(scope="module")
def page(run):
    return render([run], run / "report.html").read_text(encoding="utf-8")


class Elsewhere(NamedTuple):
    """What a process of its own made of the run: its page, and 1 if it has imported torch."""

    page: str
    code: int


@pytest.fixture(scope="module")
def elsewhere(run, tmp_path_factory):
    page = tmp_path_factory.mktemp("elsewhere") / "page.html"
    program = (
        "import sys; from pathlib import Path; from attnbench.writing import write_page;"
        "from harness.results.run import read_runs;"
        f"write_page(read_runs([Path({str(run)!r})]), Path({str(page)!r}));"
        "sys.exit('torch' in sys.modules)"
    )
    code = subprocess.run([sys.executable, "-c", program], check=False).returncode
    return Elsewhere(page.read_text(encoding="utf-8"), code)


def test_a_table_has_the_fixed_columns_and_one_row_per_case(run):
    table = load(run)
    assert list(table.columns) == list(COLUMNS)
    assert table["id"].is_unique
    assert set(table["status"]) == {"ok", *runs.FAILURES}


def test_a_failure_has_no_number(run):
    table = load(run)
    failed = table[table["status"] != "ok"]
    assert failed[["median_s", "best_s", "tflops"]].isna().all().all()
    assert (failed["reason"] != "").all()


def test_a_planned_case_without_a_record_is_a_row(tmp_path):
    table = load(runs.make_run(tmp_path / "run", sweeps=("batch",), failures=False, complete=False))
    assert list(table[table["status"] == "not run"]["reason"]) == ["the run ended before this case"] * 3


def test_a_directory_without_a_journal_is_refused_in_one_line(tmp_path):
    with pytest.raises(JournalError, match="no run directory"):
        load(tmp_path)


def test_a_newer_schema_is_refused(run, tmp_path):
    (tmp_path / "journal.jsonl").write_text("", encoding="utf-8")
    (tmp_path / "plan.json").write_text('{"schema": "2.0.0"}', encoding="utf-8")
    with pytest.raises(SchemaMismatchError, match="update attnbench"):
        load(tmp_path)


def test_the_page_makes_no_request(page):
    fetched = re.findall(r"""(?:src|href)=["']?(?!#|data:)([^"' >]+)""", page.split("<script>")[0])
    assert fetched == []
    assert 'content="default-src &#39;none&#39;; script-src' in page


def test_a_run_without_verdicts_says_not_judged_yet(tmp_path):
    bare = runs.make_run(tmp_path / "run", sweeps=("batch",), judged=False)
    assert "Not judged yet" in render([bare], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "not judged yet" in markdown([read_run(bare)])


def test_every_figure_has_title_alternative_and_both_sentences(page):
    figures = re.findall(r'<figure class="figure.*?</figure>', page, flags=re.DOTALL)
    assert len(figures) > 20
    for figure in figures:
        assert re.search(r'<h4(?: aria-level="3")?>[^<]+</h4>', figure)
        assert re.search(r'role="img" aria-label="[^"]{20,}"', figure)
        assert re.search(r'class="finding">[^<]{15,}<', figure)
        assert re.search(r'class="how">[^<]{15,}<', figure)


def test_ids_are_unique_in_the_page(page):
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_same_run_renders_the_same_bytes(page, elsewhere):
    assert page == elsewhere.page


def test_report_writes_into_the_first_run_by_default(tmp_path):
    run = runs.make_run(tmp_path / "run", sweeps=("batch",))
    assert in_process("report", run).stdout.strip() == str(run / "report.html")
    assert (run / "report.html").stat().st_size > 1000
    assert in_process("report", run, "--format", "md").stdout.startswith("## attnbench")


def test_reports_never_import_torch(elsewhere):
    assert elsewhere.code == 0


def test_numbers_have_units_and_sensible_digits():
    assert units.seconds(1.2345e-5) == "12.3 µs"
    assert units.size(3 * 2**20) == "3.00 MiB"
    assert units.count(6.43e10, "FLOP/s") == "64.3 GFLOP/s"
    assert units.seconds(math.nan) == units.ABSENT
    assert units.power(1.98) == "¹·⁹⁸"
    assert units.digits(0.9996) == "1.00"
    assert units.raised("O(n^2) extra, n^(-1), n^1.5") == "O(n²) extra, n⁻¹, n¹·⁵"
    assert units.sensor("power_w_low", 61.24) == ("power, lowest", "61.2 W")
    assert units.sensor("burst_flops", 6.5e14) == ("burst", "650 TFLOP/s")
    assert units.sensor("gpu_utilization", 0.98) == ("gpu utilisation", "98 %")


def test_a_run_on_a_device_with_published_figures_is_set_beside_them(tmp_path):
    record = runs.ok_record("sdpa-flash", n=8192, d=128, heads=64, batch=1, causal=True)
    case = record.case.model_copy(update={"implementation": "sdpa-cudnn", "dtype": "bfloat16", "device": "cuda"})
    faster = record.time.model_copy(update={"median": record.counts.operations / 322e12, "low": None, "high": None})
    runs.write_run(
        tmp_path / "run",
        [record.model_copy(update={"case": case, "time": faster})],
        device_name="NVIDIA H200",
        judged=False,
    )
    page = render([tmp_path / "run"], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "644 TFLOP/s" in page
    assert "0.500×" in page
    other = runs.make_run(tmp_path / "other", sweeps=("batch",), device_name="NVIDIA H100 PCIe")
    assert "Beside figures that others published" not in render([other], tmp_path / "o.html").read_text(
        encoding="utf-8"
    )


def test_the_page_answers_by_count_and_by_time_and_says_what_limits_it(page):
    assert "Yes: the counted operations of all 7 implementations grow exactly as n² d; measured time agrees" in page
    assert page.count('<p class="caveat">') == 1
    assert '<td class="why" colspan="1">the counts are a polynomial of degree 2</td>' in page


def test_an_interrupted_run_says_so(tmp_path):
    page = render([runs.make_run(tmp_path / "run", sweeps=("batch",), complete=False)], tmp_path / "page.html")
    text = page.read_text(encoding="utf-8")
    assert "The run is not complete" in text
    assert "3 planned cases have no record yet" in text


def test_a_page_of_many_cases_stays_small(tmp_path):
    run = runs.make_run(tmp_path / "run", sweeps=("batch",), cases=3000)
    page = render([run], tmp_path / "page.html")
    assert len(load(run)) == 3000
    # The bar is 8 MB for 10,000 cases.
    assert page.stat().st_size < 3_000_000


def test_the_device_figure_draws_the_machine_not_each_of_its_cores(tmp_path):
    record = runs.ok_record("batched", n=4096, d=64, heads=2, batch=1)
    series = {f"core_{core}": [(0.0, 1.0), (1.0, 1.0)] for core in range(64)}
    telemetry = record.telemetry.model_copy(
        update={"series": {**record.telemetry.series, **series}, "summary": {"power_w": 61.0}}
    )
    runs.write_run(tmp_path / "run", [record.model_copy(update={"telemetry": telemetry})])
    page = render([tmp_path / "run"], tmp_path / "page.html").read_text(encoding="utf-8")
    assert ">CPU busy, share<" in page
    assert ">core 0<" not in page
    assert "Watts drawn: 61.0 for all." in page
