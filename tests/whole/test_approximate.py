"""An approximate kernel is timed beside exact ones, marked wherever it is shown, and is never the baseline."""

from __future__ import annotations

import csv
import io

import pytest

from harness.results.run import read_run
from reports.exports import export, markdown
from reports.frame import frame
from reports.page.render import html
from reports.terminal.results import lines
from tests.support.commands import in_process
from tests.support.places import PLANTED

FILE = ("--impl-file", str(PLANTED / "quantised.py"))


def attnbench(*words):
    return in_process(*words, "--device", "cpu", *FILE)


@pytest.fixture(autouse=True, scope="module")
def environment(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        patch.setenv("COLUMNS", "200")
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run") / "r"
    chosen = ["--impl", "planted-int8*", "--impl", "batched", "--dtype", "float32", "-a", "n=16,64"]
    done = attnbench("run", "smoke", "--fast", *chosen, "-o", directory)
    assert (directory / "plan.json").exists(), done.stderr
    return read_run(directory)


def test_its_errors_stand_in_its_records_and_it_is_timed(run):
    records = [record for record in run.records if record.case.implementation == "planted-int8"]
    assert records
    for record in records:
        assert record.status == "ok", record.reason
        assert 0.0 < record.agreement.approximation.relative_l1 < 0.5
        assert "approximate: its errors are data" in record.notes


def test_one_that_breaks_the_contract_has_no_time(run):
    broken = [
        record for record in run.records if record.case.implementation in {"planted-int8-nan", "planted-int8-cut"}
    ]
    assert broken
    assert {record.status for record in broken} == {"disagreed"}


def test_it_is_marked_in_every_table_and_on_the_page(run):
    name = "planted-int8 (approximate)"
    assert run.plan.baseline == "batched"
    assert name in {line.implementation for line in lines(run)}
    assert name in markdown.markdown([run])
    page = html([run])
    assert name in page
    assert "planted-int8 is approximate" in page
    table = frame(run)
    of_it = table[table["implementation"] == "planted-int8"]
    assert set(of_it["approximate"]) == {1.0}
    assert of_it["cosine"].between(0.9, 1.0).all()
    assert of_it["agreement_ratio"].isna().all()
    rows = list(csv.DictReader(io.StringIO(export.to_csv(run))))
    assert {row["approximate"] for row in rows if row["implementation"] == "planted-int8"} == {"1.0"}
    assert {row["approximate"] for row in rows if row["implementation"] == "batched"} == {"0.0"}


def test_it_is_no_baseline():
    done = attnbench("plan", "smoke", "--impl", "planted-int8")
    assert done.exit_code == 0, done.output
    words = ["run", "smoke", "--impl", "planted-int8", "--impl", "batched", "--baseline", "planted-int8"]
    refused = attnbench(*words)
    assert refused.exit_code == 2
    assert "--baseline planted-int8: it is approximate" in refused.stderr


def test_a_check_shows_its_errors():
    words = ["check", "--impl", "planted-int8", "--dtype", "float32", "-k", "causal, forward"]
    done = attnbench(*words)
    assert done.exit_code == 0, done.output
    assert "planted-int8 float32 is approximate; at worst: cosine similarity 0." in done.stdout
    assert "agrees" not in done.stdout
