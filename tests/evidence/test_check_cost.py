"""The cost of checks is what visits with them take more, by medians, and the program runs."""

from __future__ import annotations

import pytest

from harness.results.run import read_run
from tests.evidence import check_cost
from tests.harness.worker.test_worker import CASE
from tests.support.runs import make_run


def costs(*, more, prepare=0.0):
    """Return a case whose visits of a second take so much more with checks, give or take 0.005."""
    plain = [1.0 + 0.01 * (number % 3 - 1) for number in range(11)]
    checked = [one + more + 0.005 * (number % 5 - 2) / 2 for number, one in enumerate(plain)]
    return check_cost.Costs("case", 20, prepare, checked, plain)


def test_the_share_is_what_was_put_in_and_preparation_dilutes_it():
    alone = check_cost.share([costs(more=0.04)], with_preparation=False)
    assert alone.middle == pytest.approx(0.04, abs=0.003)
    assert alone.low <= alone.middle <= alone.high
    diluted = check_cost.share([costs(more=0.04, prepare=20.0)], with_preparation=True)
    assert diluted.middle == pytest.approx(0.02, abs=0.0015)


def test_a_visit_that_met_another_process_counts_for_half_a_visit_at_most():
    disturbed = costs(more=0.0)
    disturbed.checked[3] += 100.0
    assert check_cost.share([disturbed], with_preparation=False).middle == pytest.approx(0.5 / 11, rel=0.2)


@pytest.mark.parametrize(("more", "said"), [(0.01, "within"), (0.2, "beyond"), (0.03, "not told apart from")])
def test_the_bar_is_held_against_the_interval(more, said):
    assert f", {said} the bar of 3%" in check_cost.report([costs(more=more)])[2]


def test_two_tiny_cases_are_visited_with_and_without_checks_and_the_latter_look_at_nothing(monkeypatch):
    looked = []
    hold = check_cost.measuring.timed_calls.hold
    monkeypatch.setattr(
        check_cost.measuring.timed_calls, "hold", lambda *args, **options: (looked.append(1), hold(*args, **options))
    )
    other = CASE.model_copy(update={"direction": "backward", "id": "other"})
    found = check_cost.measure([check_cost.Timed(one, 3, 4) for one in (CASE, other)])
    assert [len(one.plain) for one in found] == [len(one.checked) for one in found] == [2, 2]
    assert len(looked) == 2 * 2 * 2
    assert all(seconds > 0 for one in found for seconds in (*one.plain, *one.checked, one.prepare))
    assert len(check_cost.report(found)) == 4 + 2


def test_cases_come_from_a_run_with_its_calls_and_rounds(tmp_path):
    directory = make_run(tmp_path / "run")
    run = read_run(directory)
    whole = check_cost.timed(str(directory), at_most=len(run.rounds))
    assert {one.case.id: one.rounds for one in whole} == {name: len(visits) for name, visits in run.rounds.items()}
    assert all(one.calls >= 1 for one in whole)
    assert len(check_cost.timed(str(directory), at_most=2)) == 2
