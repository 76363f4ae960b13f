"""A speed-up is drawn as the number it is, with a mark where no difference is significant."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from harness.policy import DEFAULT
from harness.results.pairs.paired import Pair
from harness.results.run import read_runs
from reports import units
from reports.figures.speed.speed_up import draw_speed_up, marked, speed_up, speed_ups
from reports.figures.sweep import sweeps
from reports.frame import frames
from tests.support import runs
from tests.support.drawn import sweep_of, swept, timed


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "example", sweeps=("sequence-length",), judged=False)


def test_the_numbers_written_in_a_heat_map_are_the_speed_ups(run):
    several = read_runs([run])
    sweep = next(found for found in sweeps(several, frames(several)) if found.scenario == "sequence-length")
    svg = speed_up(sweep, baseline="sdpa-math").svg
    joined = speed_ups(sweep.table, baseline="sdpa-math")
    for value in joined["speed_up"]:
        assert f">{units.digits(value, significant=2)}<" in svg


def at(seconds, *, sizes=(64, 128), low=0.99, high=1.01):
    """Make a sweep in which each implementation takes so many seconds at every size."""
    return sweep_of([
        timed(r, seconds[r.case.implementation], low=low * seconds[r.case.implementation],
              high=high * seconds[r.case.implementation]) for r in swept(*seconds, sizes=sizes)
    ])  # fmt: skip


def test_a_speed_up_is_the_baselines_time_over_ones_own_with_both_intervals():
    joined = speed_ups(at({"batched": 4e-3, "sdpa-flash": 1e-3}).table, baseline="batched")
    rows = joined[joined["implementation"] == "sdpa-flash"]
    assert list(rows["speed_up"]) == pytest.approx([4.0, 4.0])
    half = math.hypot(math.log(1.01), math.log(1 / 0.99))
    assert list(rows["speed_up_low"]) == pytest.approx([4.0 * math.exp(-half)] * 2)
    assert set(rows["outcome"]) == {"faster"}
    base = joined[joined["implementation"] == "batched"]
    assert set(base["outcome"]) == {"baseline"}
    assert set(base["speed_up_high"]) == {1.0}


@pytest.mark.parametrize(("seconds", "outcome"), [(2e-3, "slower"), (0.5e-3, "faster"), (1.001e-3, "undecided")])
def test_an_interval_that_holds_one_decides_nothing(seconds, outcome):
    joined = speed_ups(at({"batched": 1e-3, "loop": seconds}).table, baseline="batched")
    assert set(joined[joined["implementation"] == "loop"]["outcome"]) == {outcome}


def test_a_comparison_of_rounds_goes_before_the_ratio_of_times():
    sweep = at({"batched": 1e-3, "loop": 2e-3})
    first = sweep.table[sweep.table["implementation"] == "loop"].iloc[0]
    pair = Pair(speed_up=0.9, low=0.8, high=1.1, outcome="same", rounds=12, processes=1)
    joined = speed_ups(sweep.table, baseline="batched", pairs={first["id"]: pair}).set_index("id")
    assert tuple(joined.loc[first["id"], ["speed_up", "speed_up_low", "outcome", "rounds"]]) == (0.9, 0.8, "same", 12.0)
    figure = speed_up(sweep, baseline="batched", pairs={first["id"]: pair}, policy=DEFAULT.comparison)
    assert figure.rows[0] == ("loop", "64", "0.900×", "0.800×", "1.10×", "the same", "12")
    assert figure.rows[1][-2:] == ("slower", "not paired")
    assert "each of the 12 rounds that both implementations ran in" in figure.how
    assert "Measured in one process" in figure.how
    assert "1 of 2 cells share fewer than two rounds with the baseline" in figure.how


def test_points_without_the_baseline_are_not_compared():
    records = [*swept("batched", sizes=(64,)), *swept("loop", sizes=(64, 128))]
    joined = speed_ups(sweep_of(records).table, baseline="batched")
    assert sorted(joined["n"]) == [64.0, 64.0]


def test_the_finding_names_the_quickest_at_the_largest_size_and_counts_the_rest():
    figure = speed_up(at({"batched": 1e-3, "loop": 2e-3, "sdpa-flash": 5e-4}), baseline="batched")
    assert figure.finding.startswith("At n = 128 sdpa-flash is 2.00× (95 %: 1.97 to 2.03) as fast as batched;")
    assert figure.finding.endswith("of 2 others 1 faster, 1 slower.")
    slow = speed_up(at({"batched": 1e-3, "loop": 2e-3}), baseline="batched")
    nothing = "At n = 128 nothing is significantly faster than batched; loop comes closest, at 0.500×"
    assert slow.finding.startswith(nothing)
    short = sweep_of([*swept("batched", sizes=(64, 128)), *swept("loop", sizes=(64,))])
    assert speed_up(short, baseline="batched").finding == "At the largest size only batched ran."


def test_one_implementation_or_no_baseline_has_no_figure():
    assert speed_up(at({"batched": 1e-3}), baseline="batched") is None
    assert speed_up(at({"batched": 1e-3, "loop": 1e-3}), baseline="online") is None


def test_a_difference_that_is_not_significant_is_marked_and_pale():
    joined = pd.DataFrame({
        "implementation": ["a", "a", "b"], "n": [64.0, 128.0, 128.0], "speed_up": [2.04, 1.9, 130.0],
        "outcome": ["faster", "undecided", "faster"],
    })  # fmt: skip
    (axes,) = draw_speed_up(joined, "n").axes
    assert [text.get_text() for text in axes.texts] == ["130", "2.0", "1.9 ?"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["b", "a"]
    shades = axes.collections[0].get_array().compressed()
    assert min(shades) == 0.0
    assert marked("1.0", "same") == "1.0 ≈"
    assert marked("1.0", "faster") == "1.0"
