"""Exact figures know their change, and an outcome whether it is news."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from harness.comparing.results import BROKEN, OUTCOMES, WRONG, Changes, Compared, Exact, Outcome
from harness.records import SCHEMA, SKIPPED, Status
from tests.support.comparisons import case, only

LIMITS = {"effect_at_least": 0.03, "same_within": 0.05, "false_discoveries": 0.05}


def compared(base="ok", new="ok"):
    """Return a case by the status that it has on each side; None where a side lacks it."""
    sides = {name: status and case(status=status, reason="why") for name, status in (("base", base), ("new", new))}
    return Compared(case=case().case, outcome="not comparable", **sides)


def changes(*outcomes):
    return Changes(
        base="before", new="after", cases=[Compared(case=case().case, outcome=one) for one in outcomes], **LIMITS
    )


def test_exact_figures_of_both_sides():
    one = only(case(), case(extra_bytes=0, operations=1010, error=0.7, energy=2.0))
    assert one.memory.factor == 0.0
    assert one.operations.grew_by(0.0)
    assert not one.operations.grew_by(0.01)
    assert one.error.new == 0.7
    assert one.energy is None
    grown = only(case(extra_bytes=0), case(extra_bytes=1)).memory
    assert grown.factor is None
    assert grown.grew_by(10.0)


@pytest.mark.parametrize(
    ("base", "new", "factor"), [(4, 2, 0.5), (2, 2, 1.0), (0, 0, 1.0), (0, 1, None), (1, 0, 0.0), (2.0, 3.0, 1.5)]
)
def test_the_factor_is_new_over_base_and_absent_where_something_came_of_nothing(base, new, factor):
    figure = Exact(base=base, new=new)
    assert figure.factor == factor
    assert figure.is_other == (base != new)


def test_growth_is_beyond_a_share_and_not_up_to_it():
    figure = Exact(base=100, new=125)
    assert figure.grew_by(0.24)
    assert not figure.grew_by(0.25)
    assert not Exact(base=100, new=50).grew_by(0.0)
    assert not Exact(base=0, new=0).grew_by(0.0)
    assert Exact(base=0, new=1).grew_by(1e9)


@pytest.mark.parametrize("status", get_args(Status))
def test_a_status_is_wrong_broken_or_neither(status):
    one = compared(new=status)
    assert one.is_wrong == one.is_newly_wrong == (status in {"disagreed", "fallback", "invalid"})
    assert one.is_lost == (status in {"crashed", "timeout", "oom"})


def test_statuses_that_fail_a_gate_are_none_that_a_run_skips():
    assert set(get_args(Status)) > WRONG | BROKEN
    assert not WRONG & BROKEN
    assert not SKIPPED & (WRONG | BROKEN)


def test_a_wrong_answer_is_news_unless_the_base_had_one():
    assert compared("ok", "disagreed").is_newly_wrong
    assert compared(None, "disagreed").is_newly_wrong
    assert compared("crashed", "disagreed").is_newly_wrong
    again = compared("invalid", "disagreed")
    assert (again.is_wrong, again.is_newly_wrong) == (True, False)


def test_only_what_had_a_time_is_lost():
    assert compared("ok", "crashed").is_lost
    for base in ("oom", "disagreed", "over_budget", None):
        assert not compared(base, "crashed").is_lost, base


def test_a_case_that_the_new_side_lacks_is_neither_wrong_nor_lost():
    one = compared("ok", None)
    assert (one.is_wrong, one.is_newly_wrong, one.is_lost) == (False, False, False)


def test_cases_are_had_by_their_outcome_in_their_order():
    found = changes("slower", "same", "not comparable", "slower")
    assert found.having("slower") == [found.cases[0], found.cases[3]]
    assert found.having("faster") == []
    assert found.comparable == 3
    assert changes().comparable == 0


def test_every_outcome_has_its_place_in_the_order_and_only_the_last_does_not_compare():
    assert sorted(OUTCOMES) == sorted(get_args(Outcome))
    assert [changes(one).comparable for one in OUTCOMES] == [1, 1, 1, 1, 0]


def test_a_comparison_is_written_with_its_schema_and_read_again():
    found = changes("slower")
    document = found.model_dump(mode="json", by_alias=True)
    assert document["schema"] == SCHEMA
    assert Changes.model_validate(document) == found


def test_an_unknown_field_or_outcome_is_refused():
    with pytest.raises(ValidationError, match="speed"):
        Exact(base=1, new=2, speed=3)
    with pytest.raises(ValidationError, match="outcome"):
        changes("undecided")
