"""A change that lasts is found where it began, a bad day is none, and machines are kept apart."""

from __future__ import annotations

import numpy as np
import pytest

from harness.comparing.history import history, levels, recent, without_single_days
from harness.policy import ComparisonPolicy
from tests.support.comparisons import MACHINE, NAMES, drawn

POLICY = ComparisonPolicy()


def series(count, **known):
    """Draw runs a day apart; `known` may be functions of the day."""
    return [
        drawn(
            seed=day,
            sizes=5,
            rounds=12,
            created=f"2026-01-{day + 1:02}T00:00:00+00:00",
            name=f"day {day}",
            **{name: value(day) if callable(value) else value for name, value in known.items()},
        )
        for day in range(count)
    ]


def changes(found):
    return [
        (trend.case.implementation, change.run, change.factor)
        for machine in found.machines
        for trend in machine.trends
        for change in trend.changes
    ]


def test_runs_without_a_change_have_none():
    assert changes(history(series(20), policy=POLICY)) == []


def test_a_step_is_found_in_its_run_and_nowhere_else():
    def step(day):
        return lambda name, _place: np.log(1.3) * (name == "online" and day >= 12)

    found = changes(history(series(20, effect=step), policy=POLICY))
    assert {name for name, _, _ in found} == {"online"}
    assert [run for _, run, _ in found] == [12] * 5
    assert [factor for _, _, factor in found] == pytest.approx([1.3] * 5, rel=0.05)


def test_one_bad_day_is_no_change():
    assert changes(history(series(20, shift=lambda day: 0.3 * (day == 7)), policy=POLICY)) == []


def test_the_last_day_alone_is_no_change_and_two_days_are():
    assert changes(history(series(20, shift=lambda day: 0.3 * (day == 19)), policy=POLICY)) == []
    found = history(series(20, shift=lambda day: 0.3 * (day >= 18)), policy=POLICY)
    assert len(recent(found, share=0.05)) == 5 * len(NAMES)
    assert recent(found, share=0.5) == []


def test_an_old_change_and_a_speed_up_are_not_recent():
    assert recent(history(series(20, shift=lambda day: 0.3 * (day >= 8)), policy=POLICY), share=0.05) == []
    assert recent(history(series(20, shift=lambda day: -0.3 * (day >= 18)), policy=POLICY), share=0.05) == []


def test_two_machines_are_kept_apart():
    runs = series(10)
    runs = [run.model_copy(update={"stable": {**MACHINE, "cpu": f"CPU {place % 2}"}}) for place, run in enumerate(runs)]
    found = history(runs, policy=POLICY)
    assert [(machine.name, len(machine.runs)) for machine in found.machines] == [("CPU 0", 5), ("CPU 1", 5)]


def test_another_torch_is_the_same_machine_and_stands_beside_its_run():
    runs = series(4)
    runs[2] = runs[2].model_copy(update={"stable": {**MACHINE, "torch": "2.14.0"}})
    [machine] = history(runs, policy=POLICY).machines
    assert [run.software["torch"] for run in machine.runs] == ["2.13.0+cpu", "2.13.0+cpu", "2.14.0", "2.13.0+cpu"]


def test_runs_stand_in_order_of_time_however_they_are_named():
    [machine] = history(series(6)[::-1], policy=POLICY).machines
    assert [run.name for run in machine.runs] == [f"day {day}" for day in range(6)]


def test_what_is_missing_today_has_its_reason():
    runs = series(4)
    gone, crashed, *others = runs[-1].cases
    crashed = crashed.model_copy(update={"status": "crashed", "reason": "SIGSEGV", "seconds": None, "low": None})
    runs[-1] = runs[-1].model_copy(update={"cases": [crashed, *others]})
    [machine] = history(runs, policy=POLICY).machines
    missing = {trend.case.id: trend.missing for trend in machine.trends if trend.missing}
    assert missing == {gone.case.id: "not in the newest run", crashed.case.id: "crashed: SIGSEGV"}


def test_what_failed_without_a_reason_is_missing_by_its_status():
    runs = series(2)
    lost = runs[-1].cases[0].model_copy(update={"status": "over_budget", "seconds": None})
    runs[-1] = runs[-1].model_copy(update={"cases": [lost, *runs[-1].cases[1:]]})
    [machine] = history(runs, policy=POLICY).machines
    assert [trend.missing for trend in machine.trends if trend.missing] == ["over budget"]


def test_ratios_over_a_base_at_the_same_point():
    [machine] = history(series(3), policy=POLICY, base="sdpa-math").machines
    of = {(trend.case.implementation, trend.case.point["n"]): trend for trend in machine.trends}
    assert of["sdpa-math", 64].over_base == [1.0] * 3
    expected = [a / b for a, b in zip(of["online", 128].seconds, of["sdpa-math", 128].seconds, strict=True)]
    assert of["online", 128].over_base == pytest.approx(expected)


def test_runs_that_scatter_beyond_their_intervals_are_granted_it():
    wild = history(series(20, process=0.05), policy=POLICY)
    assert wild.machines[0].scatter > 1.5
    assert len(changes(wild)) <= 1


def test_levels_are_the_optimum():
    values = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    assert levels(values, np.full(9, 100.0), penalty=10.0) == [3, 7]
    assert levels(values, np.full(9, 1.0), penalty=10.0) == []
    assert levels(values, np.full(9, 100.0), penalty=10.0, least=2.0) == []
    assert levels(np.array([0.0, 1.0, 1.0]), np.full(3, 100.0), penalty=1.0) == []


def test_a_single_day_is_taken_out_and_two_of_them_stay():
    errors = np.full(6, 0.1)
    for place in range(6):
        values = np.zeros(6)
        values[place] = 5.0
        assert without_single_days(values, errors).tolist() == [0.0] * 6
    for values in ([0, 0, 5, 5, 0, 0], [0, 0, 0, 0, 5, 5], [5, 5, 0, 0, 0, 0], [0.0, 0.1, 0.2, 0.0, 0.1, 0.2]):
        assert without_single_days(np.array(values, dtype=float), errors).tolist() == values
