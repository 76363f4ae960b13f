"""What the numbers rest on: every case without a time has its reason, and so has every absent figure."""

from __future__ import annotations

import pytest

from harness.results.run import read_run
from reports import style
from reports.chapters import evidence
from reports.frame import frames
from tests.support import runs
from tests.support.drawn import BASE, colors_of, run_of, swept, table_of


@pytest.fixture(scope="module")
def cpu(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "cpu", sweeps=("batch",), judged=False)


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
    assert bare.lead == "No utilisation, power or temperature was recorded in this run."
    assert bare.sections == ()


def test_failures_alike_are_one_row():
    failed = [runs.failed_record("loop", "oom", "too much", **{**BASE, "n": n}) for n in (64, 128)]
    other = runs.failed_record("loop", "predicted_oom", "too much", **{**BASE, "n": 256})
    chapter = evidence.agreement_chapter(table_of(run_of([*failed, other])), colors_of("loop"))
    assert [section.title for section in chapter.sections] == ["What did not run, and why"]
    assert chapter.sections[0].tables[0].rows == (
        ("oom", "loop", "2", "too much"),
        ("predicted oom", "loop", "1", "too much"),
    )


def test_a_run_in_which_all_ran_says_so():
    chapter = evidence.agreement_chapter(table_of(run_of(swept("batched"))), colors_of("batched"))
    assert chapter.lead.endswith("Every planned case ran and agreed.")
    assert [section.title for section in chapter.sections] == ["Error against budget"]


def test_absent_figures_are_listed_with_their_reasons_by_name():
    records = swept("batched", sizes=(2048,))
    reasons = {"temperature_c": "no sensor", "power_w": "x" * 500}
    told = [r.model_copy(update={"telemetry": r.telemetry.model_copy(update={"reasons": reasons})}) for r in records]
    chapter = evidence.device_chapter([run_of(told)], [], colors_of("batched"))
    rows = chapter.sections[0].tables[0].rows
    assert [row[0] for row in rows] == ["power", "temperature"]
    assert rows[1][1] == "no sensor"
    assert len(rows[0][1]) < 410


def test_several_runs_have_their_names_over_their_figures():
    one, other = run_of(swept("batched", sizes=(2048,)), label="a"), run_of(swept("batched", sizes=(2048,)), label="b")
    chapter = evidence.device_chapter([one, other], [], colors_of("batched"))
    titles = [figure.title for figure in chapter.sections[0].figures]
    assert titles == ["The device under sustained load, a", "The device under sustained load, b"]
    alone = evidence.device_chapter([one], [], colors_of("batched"))
    assert [figure.title for figure in alone.sections[0].figures] == ["The device under sustained load"]
