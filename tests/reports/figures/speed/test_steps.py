"""Steps are shares that sum to the whole, and attention overtakes the projections where their times meet."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from reports.figures.speed.steps import LINEAR_STEPS, QUADRATIC_STEPS, STEP, crossover, phases, step_times
from tests.support import runs
from tests.support.drawn import sweep_of, timed

SIZES = (64, 128, 256, 512, 1024)
EVERY = (*LINEAR_STEPS, *QUADRATIC_STEPS)


def times(sizes=SIZES, *, meet=300.0):
    """Return seconds of each step: linear ones of n, quadratic ones that overtake them at `meet`."""
    columns = {name: [1e-6 * n / len(LINEAR_STEPS) for n in sizes] for name in LINEAR_STEPS}
    columns |= {name: [1e-6 * n * n / meet / len(QUADRATIC_STEPS) for n in sizes] for name in QUADRATIC_STEPS}
    return pd.DataFrame(columns, index=[float(n) for n in sizes])


@pytest.mark.parametrize("meet", [100.0, 256.0, 300.0, 900.0])
def test_the_crossover_is_where_both_sums_are_equal(meet):
    assert crossover(times(meet=meet)) == pytest.approx(meet)


@pytest.mark.parametrize("meet", [10.0, 5000.0])
def test_sums_that_never_meet_have_none(meet):
    assert crossover(times(meet=meet)) is None


def test_a_step_that_was_not_timed_leaves_no_crossover():
    for name in EVERY:
        assert crossover(times().drop(columns=name)) is None


def record(implementation, n, seconds=1e-3, **phases_):
    made = runs.ok_record("d2l", n=n, width=256, heads=4)
    case = made.case.model_copy(
        update={"implementation": implementation, "problem": "multihead", "id": f"{implementation} {n}"}
    )
    counts = made.counts.model_copy(update={"phases": phases_ or made.counts.phases})
    return timed(made, seconds).model_copy(update={"case": case, "counts": counts})


def steps_sweep(meet):
    table = times(meet=meet)
    return sweep_of([record(name, n, float(table.loc[n, name])) for n in SIZES for name in EVERY])


def test_measured_steps_say_who_takes_most_and_where_attention_overtakes():
    sweep = steps_sweep(300.0)
    figure = step_times(sweep, sweep.table)
    assert figure.finding.startswith("output takes most of the time at n = 64")
    assert (
        "overtake the projections at about n = 300; by operations, softmax apart, at n = 2 D = 512." in figure.finding
    )
    assert figure.columns == ("n", "output", "projections", "scores", "softmax", "weighted sum", "sum")
    # 32 us each of the linear ones, 64^2 / 300 us of all others.
    assert figure.rows[0][1:3] == ("32.0 µs", "32.0 µs")
    assert figure.rows[0][-1] == "77.7 µs"


def test_no_crossover_is_claimed_where_there_is_none():
    sweep = steps_sweep(5000.0)
    assert "overtake" not in step_times(sweep, sweep.table).finding


def test_fewer_than_two_steps_or_sizes_are_no_stack():
    sweep = steps_sweep(300.0)
    assert step_times(sweep, sweep.table[sweep.table["implementation"] == STEP + "scores"]) is None
    assert step_times(sweep, sweep.table[sweep.table["n"] == 64.0]) is None


def test_counted_steps_change_places():
    records = [record("d2l", n, projections=8 * n, scores=n * n) for n in (4, 2, 32)]
    figure = phases(records, "n", key="k", conditions="float32")
    assert figure.finding == "projections takes most at n = 2 (80 %), scores at 32 (80 %)."
    assert figure.rows == (("2", "80 %", "20 %"), ("4", "67 %", "33 %"), ("32", "20 %", "80 %"))
    assert re.search(r">projections<.*|>scores<", figure.svg)


def test_a_step_that_a_size_lacks_takes_nothing_there():
    records = [record("d2l", 2, projections=10, scores=10), record("d2l", 4, projections=10, softmax=30)]
    figure = phases(records, "n", key="k", conditions="float32")
    assert figure.columns == ("n", "projections", "scores", "softmax")
    assert figure.rows == (("2", "50 %", "50 %", "0 %"), ("4", "25 %", "0 %", "75 %"))


def test_one_size_or_one_step_is_not_stacked():
    assert phases([record("d2l", 2, a=1, b=1)], "n", key="k", conditions="") is None
    assert phases([record("d2l", n, a=1) for n in (2, 4)], "n", key="k", conditions="") is None
    bare = [record("d2l", n, a=1, b=2).model_copy(update={"counts": None}) for n in (2, 4)]
    assert phases(bare, "n", key="k", conditions="") is None
