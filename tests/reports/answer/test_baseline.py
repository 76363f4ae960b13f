"""Where the baseline was not timed, there is no speed-up: the cell is empty, and the reason is said."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from harness.results.run import read_run
from reports import style
from reports.answer.doubts import baseline_gaps, warnings
from reports.exports.markdown import markdown
from reports.figures.speed.speed_up import draw_speed_up, speed_ups
from reports.frame import frame
from reports.page.render import html
from reports.terminal import results
from tests.support import runs

CUT = ("timeout", "no answer to 'visit' within 5 s")
WRONG = ("disagreed", "out: 3 times its budget")


@pytest.fixture
def run(tmp_path):
    """A run whose baseline was cut off at the largest size and disagreed at one between."""
    records = [runs.ok_record("batched", n=64), runs.ok_record("loop", n=64)]
    for n, (status, reason) in ((256, WRONG), (1024, CUT)):
        records += [runs.ok_record("loop", n=n), runs.failed_record("batched", status, reason, n=n)]
    runs.write_run(tmp_path / "run", records)
    found = read_run(tmp_path / "run")
    return replace(found, plan=found.plan.model_copy(update={"baseline": "batched"}))


def test_what_has_no_speed_up_is_counted_with_the_reasons(run):
    (said,) = baseline_gaps(frame(run), baseline="batched")
    assert said.startswith("2 timed cases of others have no speed-up: batched, the baseline, was not timed there (")
    assert f"(disagreed in 1 case, {WRONG[1]}; timeout in 1 case, {CUT[1]})." in said
    assert results.notes_of(run) == baseline_gaps(frame(run), baseline=run.plan.baseline)
    assert set(results.notes_of(run)) <= set(warnings(run, frame(run)))


def test_a_baseline_that_was_timed_wherever_others_were_is_no_doubt(run):
    assert baseline_gaps(frame(run), baseline="loop") == []


def test_a_baseline_of_another_problem_or_of_none_is_no_doubt(run):
    assert baseline_gaps(frame(run), baseline="mha/batched") == []
    assert baseline_gaps(frame(run), baseline="") == []


def test_speed_ups_are_there_where_both_were_timed_and_empty_elsewhere(run):
    table = frame(run).assign(run=run.label)
    joined = speed_ups(table, baseline="batched")
    assert sorted(joined.loc[joined["implementation"] == "loop", "n"]) == [64]
    assert joined["speed_up"].notna().all()
    sizes = sorted(table["n"].unique())
    drawing = draw_speed_up(joined, "n", sizes=sizes)
    (axes,) = drawing.axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["64", "256", "1,024"]
    style.to_svg(drawing, prefix="x", alt="x", colors={})
    written = [text.get_text() for text in axes.texts]
    assert sum(bool(text) for text in written) == 2
    assert not any("nan" in text for text in written)


def test_the_terminal_the_page_and_markdown_write_no_speed_up_there(run):
    by_name = {line.implementation: line for line in results.lines(run)}
    assert by_name["loop"].point.startswith("n 1,024")
    assert by_name["loop"].speed_up == "–"
    assert by_name["batched"].speed_up.startswith("1.00")
    assert "the baseline, was not timed there" in html([run])
    assert "nan" not in markdown([run])
    assert not any(math.isnan(value) for value in speed_ups(frame(run).assign(run="x"), baseline="batched")["speed_up"])
