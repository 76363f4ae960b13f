"""The laws that are drawn are those that were judged, and lines that cross are told."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from harness.results.run import read_run, read_runs
from harness.scaling.law import Law, Step, costs
from reports import style
from reports.figures.scaling.time import (
    LAW_COLUMNS,
    SIZES_FOR_A_LAW,
    crossovers,
    draw_time,
    judged_laws,
    law_rows,
    time,
)
from reports.figures.sweep import sweeps
from reports.frame import frames
from tests.support import runs
from tests.support.drawn import colors_of, sweep_of, swept, timed


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "example", sweeps=("sequence-length",))


def sweep_along(axis, path):
    several = read_runs([path])
    return next(found for found in sweeps(several, frames(several)) if found.axis == axis)


def test_the_law_that_is_drawn_is_the_one_that_was_judged(run):
    sweep = sweep_along("n", run)
    laws = judged_laws(sweep)
    judged = {
        verdict.implementation: verdict.law
        for verdict in read_run(run).verdicts
        if (verdict.axis, verdict.quantity) == ("n", "time")
    }
    assert laws == judged
    rows = sweep.table[sweep.table["implementation"] == "sdpa-flash"]
    misses = costs(laws["sdpa-flash"], rows["n"].to_numpy()) / rows["best_s"].to_numpy() - 1
    assert abs(misses).max() < 0.1
    assert 1.9 < laws["sdpa-flash"].exponent < 2.1


def test_a_law_that_other_cases_were_judged_by_is_not_drawn(run):
    sweep = sweep_along("n", run)
    others = [
        verdict.model_copy(update={"cases": verdict.cases[1:]}) if verdict.implementation == "loop" else verdict
        for verdict in sweep.verdicts
    ]
    assert set(judged_laws(sweep)) - set(judged_laws(replace(sweep, verdicts=tuple(others)))) == {"loop"}


def test_a_run_whose_verdicts_have_no_law_joins_its_points(run):
    sweep = sweep_along("n", run)
    bare = replace(sweep, verdicts=tuple(verdict.model_copy(update={"law": None}) for verdict in sweep.verdicts))
    assert judged_laws(bare) == {}
    assert "Lines join them." in time(bare, style.looks(bare.table["implementation"])).how


def powers(**laws):
    """Give each implementation the time of its law, a function of n."""
    return sweep_of([timed(r, laws[r.case.implementation](r.case.point["n"])) for r in swept(*laws)])


def test_lines_that_change_places_for_good_cross_where_their_times_are_equal():
    rows = powers(batched=lambda n: 1e-3 * n, loop=lambda n: 1e-3 * n * n / 300).table
    ((slow, fast, where),) = crossovers(rows, "n")
    assert (slow, fast) == ("batched", "loop")
    assert where == pytest.approx(300)


def test_lines_that_meet_at_a_size_cross_there():
    rows = powers(batched=lambda n: n / 256, loop=lambda n: (n / 256) ** 2).table
    assert [(slow, fast, round(where)) for slow, fast, where in crossovers(rows, "n")] == [("batched", "loop", 256)]


@pytest.mark.parametrize(
    "other",
    [
        lambda n: 1.05e-3 * n,  # equals
        lambda n: 2e-3 * n,  # parallel
        lambda n: 1e-3 * n * (2.0 if n in {64, 2048} else 0.5),  # there and back
        lambda n: 1e-3 * n * (0.95 if n > 256 else 1.05),  # noise between equals
    ],
)
def test_other_lines_do_not_cross(other):
    assert crossovers(powers(batched=lambda n: 1e-3 * n, loop=other).table, "n") == []


def test_the_finding_is_of_the_largest_size_and_tells_who_overtakes_whom():
    figure = time(powers(batched=lambda n: 1e-6 * n, loop=lambda n: 1e-6 * n * n / 300), colors_of("batched", "loop"))
    assert figure.finding == (
        "At n = 2,048 batched needs 2.05 ms, loop 14.0 ms: 6.83× as long. "
        "Going up, batched overtakes loop near n = 300."
    )
    assert (
        time(powers(batched=lambda n: 1e-6 * n), colors_of("batched")).finding == "At n = 2,048 batched needs 2.05 ms."
    )


LAW = Law(first=64, last=2048, sizes=6, exponent=2.0, floor=1e-3, slope=1e-6, residual=0.0)


def test_laws_are_tabulated_with_their_floor_and_step():
    stepped = LAW.model_copy(update={"floor": 0.0, "step": Step(at=511.6, height=2.5, octaves=0.5)})
    rows = law_rows({"loop": stepped, "batched": LAW}, "n")
    assert rows == (
        ("batched", "2.00", "1.00 ms", "100 %", "none", ""),
        ("loop", "2.00", "none", "0 %", "2.50×", "n 512"),
    )
    assert all(len(row) == len(LAW_COLUMNS) for row in rows)


def test_a_law_is_drawn_as_its_curve_with_its_floor_and_joins_no_points():
    sweep = powers(batched=lambda n: 1e-3 + 1e-6 * (n / 64) ** 2)
    (axes,) = draw_time(sweep.table, "n", colors_of("batched"), laws={"batched": LAW}).axes
    curve = next(line for line in axes.lines if len(line.get_xdata()) == 60)
    assert (curve.get_ydata()[0], curve.get_ydata()[-1]) == pytest.approx((1.001e-3, 1e-3 + 1e-6 * 32**2))
    assert any(list(line.get_ydata()) == [1e-3, 1e-3] for line in axes.lines)
    joined = [line for line in axes.lines if len(line.get_xdata()) == 6 and line.get_linestyle() == "-"]
    assert joined == []


def test_a_law_of_few_sizes_is_not_drawn(run):
    sweep = sweep_along("n", run)
    few = [
        verdict.model_copy(
            update={"law": verdict.law and verdict.law.model_copy(update={"sizes": SIZES_FOR_A_LAW - 1})}
        )
        for verdict in sweep.verdicts
    ]
    assert judged_laws(replace(sweep, verdicts=tuple(few))) == {}


def test_a_case_without_an_interval_is_a_point_without_a_bar():
    records = [timed(record, 1e-3, low=None, high=None) for record in swept("batched")]
    (axes,) = draw_time(sweep_of(records).table, "n", colors_of("batched")).axes
    assert [len(collection.get_segments()) for collection in axes.collections] == []
    assert math.isnan(sweep_of(records).table["low_s"].iloc[0])
