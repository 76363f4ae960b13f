"""What the numbers rest on: every case without a time has its reason, and so has every absent figure."""

from __future__ import annotations

import pytest

from harness.results.run import read_run
from reports import style
from reports.chapters import evidence
from reports.frame import frames
from tests.support import runs


@pytest.fixture(scope="module")
def cpu(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "cpu", sweeps=("sequence-length", "multihead-length"))


def test_every_case_without_a_time_is_counted_with_its_reason(cpu):
    run = read_run(cpu)
    table = frames([run])
    found = evidence.agreement_chapter(table, style.looks(table["implementation"]))
    rows = found.sections[-1].tables[0].rows
    assert sum(int(row[2]) for row in rows) == int((table["status"] != "ok").sum()) > 0
    assert {row[0] for row in rows} == {status.replace("_", " ") for status in set(table["status"]) - {"ok"}}


def test_a_run_without_sensors_says_so(tmp_path):
    records = [runs.ok_record("batched", n=64, d=64, heads=2, batch=1).model_copy(update={"telemetry": None})]
    run = read_run(runs.make_run(tmp_path / "run", sweeps=("batch",), failures=False))
    bare = evidence.device_chapter(
        [type(run)(**{**vars(run), "records": tuple(records), "rounds": {}})], [], style.looks(["batched"])
    )
    assert bare.lead == "No utilization, power or temperature was recorded in this run."
    assert bare.sections == ()
