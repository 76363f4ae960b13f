"""Runs that older versions wrote are read, reported and exported.

stored/smoke is a real run of schema 1.1.0, `attnbench run smoke` on a CPU, cut down to three implementations.
"""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from harness.policy import DEFAULT
from harness.results import journal
from harness.results.pairs.paired import paired
from harness.results.run import NOT_RUN, read_run
from reports.exports import export
from reports.exports.markdown import markdown
from reports.frame import frame
from reports.page import render
from tests.support.places import STORED

SMOKE = STORED / "smoke"
SIZES = (16, 32, 48)


@pytest.fixture
def run():
    return read_run(SMOKE)


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copytree(SMOKE, tmp_path / "run"))


def keep(directory, is_kept):
    """Keep the lines of a journal of which `is_kept` holds."""
    path = directory / journal.JOURNAL
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if is_kept(json.loads(line))), encoding="utf-8")


def test_every_file_is_read_into_its_model(run):
    assert run.plan.policy.timing.rounds_at_least == 5
    (sweep,) = run.plan.scenarios
    assert sweep.name == "smoke"
    assert tuple(sweep.axis("n").values) == SIZES
    assert run.environment.stable["torch"] == "2.13.0+cpu"
    assert run.summary.complete
    assert {verdict.implementation for verdict in run.verdicts} == {"batched", "sdpa-flash"}
    assert (run.judged, run.torn, run.waiting) == (True, 0, ())
    assert {record.environment_id for record in run.records if record.time} == {run.environment.id}


def test_records_rounds_and_times_hang_together(run):
    timed = [record for record in run.records if record.time]
    assert [record.status for record in run.records].count("unsupported") == 3
    assert len(timed) == 2 * len(SIZES)
    for record in timed:
        visits = run.rounds[record.case.id]
        assert [samples for samples, _ in record.time.by_round] == [visit.samples for visit in visits]
        assert run.by_id[record.case.id] is record


def test_the_page_has_every_case_and_the_policy(run, tmp_path):
    page = render.write([run], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "timing.rounds_at_least" in page
    assert "sdpa-cudnn" in page
    assert page.count("<svg") > 5


def test_the_summary_names_the_machine_and_the_verdicts(run):
    text = markdown([run])
    assert text.startswith("## attnbench: smoke")
    assert "sdpa-flash" in text


@pytest.mark.parametrize("to", [name for name in export.FORMATS if name != "parquet"])
def test_every_format_has_the_timed_cases(run, to):
    text = export.export(run, to=to).decode()
    assert text.count("sdpa-flash") >= len(SIZES)


def test_the_table_has_a_row_per_planned_case(run):
    table = frame(run)
    assert sorted(table["id"]) == sorted(planned.case.id for planned in run.plan.cases)
    again = pd.read_csv(io.BytesIO(export.export(run, to="csv")))
    assert again["median_s"].dropna().tolist() == table["median_s"].dropna().tolist()


def test_speed_ups_come_from_its_rounds(run):
    pairs = paired(run, baseline="batched")
    rounds = {"batched": {}, "sdpa-flash": {}}
    for record in run.records:
        if record.time:
            rounds[record.case.implementation][record.case.point["n"]] = record.time.rounds
    found = {run.by_id[case].case.point["n"]: pair.rounds for case, pair in pairs.items()}
    assert found == {n: min(rounds["batched"][n], rounds["sdpa-flash"][n]) for n in SIZES}


def test_a_case_that_never_closed_has_a_provisional_record(copy, run):
    lost = next(record for record in run.records if record.time)
    keep(copy, lambda line: line["kind"] != "record" or line["record"]["case"]["id"] != lost.case.id)
    found = read_run(copy).by_id[lost.case.id]
    assert found.time.samples == lost.time.samples
    assert found.time.stop_reason == "interrupted"


def test_a_case_that_was_never_reached_waits_with_the_reason(copy, run):
    lost = next(record for record in run.records if record.time)
    keep(copy, lambda line: line.get("case") != lost.case.id and lost.case.id not in json.dumps(line))
    (case, status, reason), *others = read_run(copy).waiting
    assert (case.id, status, reason, others) == (lost.case.id, NOT_RUN, "the run ended before this case", [])


def test_a_journal_alone_is_a_run_without_a_plan(copy):
    for name in (journal.PLAN, journal.ENVIRONMENT, journal.SUMMARY, journal.VERDICTS):
        (copy / name).unlink()
    bare = read_run(copy)
    assert (bare.plan, bare.environment, bare.summary, bare.verdicts, bare.judged) == (None, None, None, (), False)
    assert len(bare.records) == 3 * len(SIZES)


def test_constants_of_another_version_stand_in_no_ones_way(copy, tmp_path):
    path = copy / journal.PLAN
    document = json.loads(path.read_text(encoding="utf-8"))
    document["policy"]["timing"]["warm_up_calls_of_old"] = 12
    del document["policy"]["comparison"]
    path.write_text(json.dumps(document), encoding="utf-8")
    run = read_run(copy)
    assert run.plan.policy.comparison == DEFAULT.comparison
    page = render.write([run], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "timing.rounds_at_least" in page
    # What the run was not measured under is not told of it.
    assert "comparison.false_discoveries" not in page


def test_a_file_that_is_wrong_is_named_in_one_line(copy):
    (copy / journal.ENVIRONMENT).write_text('{"schema": "1.0.0", "id": 7, "stable": {}}', encoding="utf-8")
    with pytest.raises(journal.JournalError, match=r"environment\.json: id: .*string") as refused:
        read_run(copy)
    assert "\n" not in str(refused.value)
