"""The cost of checks is what visits with them take more, by medians, and the program runs."""

from __future__ import annotations

import pytest

from tests.evidence import check_cost
from tests.harness.worker.test_worker import CASE


def costs(*, more, prepare=0.0):
    """Return a case whose visits of a second take so much more with checks, give or take 0.005; one is disturbed."""
    plain = [1.0 + 0.01 * (number % 3 - 1) for number in range(11)]
    checked = [one + more + 0.005 * (number % 5 - 2) / 2 for number, one in enumerate(plain)]
    checked[1] += 1.0
    return check_cost.Costs("case", prepare, checked, plain)


def test_the_share_is_what_was_put_in_and_preparation_dilutes_it():
    alone = check_cost.share([costs(more=0.04)], rounds=20, with_preparation=False)
    assert alone.middle == pytest.approx(0.04, abs=0.003)
    assert alone.low <= alone.middle <= alone.high
    diluted = check_cost.share([costs(more=0.04, prepare=20.0)], rounds=20, with_preparation=True)
    assert diluted.middle == pytest.approx(0.02, abs=0.0015)


@pytest.mark.parametrize(("more", "said"), [(0.01, "within"), (0.2, "beyond"), (0.03, "not told apart from")])
def test_the_bar_is_held_against_the_interval(more, said):
    assert f", {said} the bar of 3%" in check_cost.report([costs(more=more)])[2]


def test_two_tiny_cases_are_visited_with_and_without_checks_and_the_latter_look_at_nothing(monkeypatch):
    looked = []
    hold = check_cost.measuring.timed_calls.hold
    monkeypatch.setattr(
        check_cost.measuring.timed_calls, "hold", lambda *args, **options: (looked.append(1), hold(*args, **options))
    )
    other = CASE.model_copy(update={"direction": "backward"})
    found = check_cost.measure([CASE, other], seconds=0.0, turns=2)
    assert [len(one.plain) for one in found] == [len(one.checked) for one in found] == [2, 2]
    assert len(looked) == 2 * 2 * 2
    assert all(seconds > 0 for one in found for seconds in (*one.plain, *one.checked, one.prepare))
    assert len(check_cost.report(found)) == 4 + 2
