"""The report's data flow: run directory -> table -> page, summary, exports."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys

import pytest

import runs
from harness.journal import JournalError
from harness.records import SchemaMismatchError
from reports import commands, export, style, units
from reports.frame import COLUMNS, load
from reports.render import render
from reports.summary import lines, markdown


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "example")


@pytest.fixture(scope="module")
def page(run):
    return render([run], run / "report.html").read_text(encoding="utf-8")


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
    assert "not judged yet" in markdown([bare])


def test_every_figure_has_title_alternative_and_both_sentences(page):
    figures = re.findall(r'<figure class="figure.*?</figure>', page, flags=re.DOTALL)
    assert len(figures) > 20
    for figure in figures:
        assert re.search(r"<h4>[^<]+</h4>", figure)
        assert re.search(r'role="img" aria-label="[^"]{20,}"', figure)
        assert re.search(r'class="finding">[^<]{15,}<', figure)
        assert re.search(r'class="how">[^<]{15,}<', figure)


def test_ids_are_unique_in_the_page(page):
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_same_run_renders_the_same_bytes(run, tmp_path):
    first = render([run], tmp_path / "one.html").read_bytes()
    assert first == render([run], tmp_path / "two.html").read_bytes()


def test_an_implementation_keeps_its_colour_whatever_else_is_there():
    alone, among = style.looks(["sdpa-flash"]), style.looks(["sdpa-flash", "batched", "mine", "yours"])
    assert alone["sdpa-flash"] == among["sdpa-flash"]
    assert len({look.color for look in among.values()}) == 4


def test_the_terminal_lines_put_the_quickest_first(run):
    found = [line for line in lines(load_run(run)) if line.scenario == "sequence-length"]
    assert found[0].implementation == "sdpa-flash"
    assert found[-1].implementation == "loop"


def test_markdown_escapes_what_comes_from_outside(tmp_path):
    record = runs.failed_record("bad|<b>", "crashed", "a | b <script>", n=64)
    runs.write_run(tmp_path / "run", [record], judged=False)
    text = markdown([tmp_path / "run"])
    assert "<script>" not in text
    assert "bad\\|&lt;b>" in text


@pytest.mark.parametrize("name", [name for name in export.FORMATS if name != "parquet"])
def test_an_export_is_written(run, tmp_path, name):
    path = commands.export(run, to=name, output=tmp_path / f"out.{name}")
    assert path.stat().st_size > 1000


def test_a_csv_export_round_trips(run, tmp_path):
    import pandas as pd

    path = commands.export(run, to="csv", output=tmp_path / "cases.csv")
    again = pd.read_csv(path)
    assert list(again.columns) == list(COLUMNS)
    assert math.isclose(again["median_s"].sum(), load(run)["median_s"].sum())


def test_a_parquet_export_round_trips(run, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is an optional extra")
    import pandas as pd

    path = commands.export(run, to="parquet", output=tmp_path / "cases.parquet")
    assert list(pd.read_parquet(path).columns) == list(COLUMNS)


def test_pytest_benchmark_compares_our_export(run, tmp_path):
    path = commands.export(run, to="pytest-benchmark", output=tmp_path / "0001_run.json")
    done = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "sdpa-flash" in done.stdout


def test_github_action_benchmark_gets_name_unit_and_value(run):
    entries = json.loads(export.export(run, to="github-action-benchmark"))
    assert all(entry["unit"] == "us" and entry["value"] > 0 for entry in entries)
    assert len({entry["name"] for entry in entries}) == len(entries)


def test_bencher_gets_measures_with_bounds(run):
    found = json.loads(export.export(run, to="bencher"))
    latency = next(iter(found.values()))["latency"]
    assert latency["lower_value"] <= latency["value"] <= latency["upper_value"]


def test_an_unknown_format_names_the_choices(run):
    with pytest.raises(ValueError, match="have: csv, json"):
        commands.export(run, to="xlsx")


def test_report_writes_into_the_first_run_by_default(run):
    assert commands.report([run]) == run / "report.html"
    assert str(commands.report([run], format="md")).startswith("## attnbench")


def test_reports_never_import_torch(run, tmp_path):
    program = (
        "import sys; from pathlib import Path; from reports import commands;"
        f"commands.report([Path({str(run)!r})], output=Path({str(tmp_path / 'page.html')!r}));"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_numbers_have_units_and_sensible_digits():
    assert units.seconds(1.2345e-5) == "12.3 µs"
    assert units.size(3 * 2**20) == "3.00 MiB"
    assert units.count(6.43e10, "FLOP/s") == "64.3 GFLOP/s"
    assert units.seconds(math.nan) == units.ABSENT
    assert units.power(1.98) == "¹·⁹⁸"


def load_run(path):
    from reports.frame import read_run

    return read_run(path)
