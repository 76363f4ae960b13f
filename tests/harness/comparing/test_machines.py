"""What differs between two environments is the machine, or software on it."""

from __future__ import annotations

import pytest

from harness.comparing.compare import compare
from harness.comparing.machines import SOFTWARE, differences
from harness.policy import ComparisonPolicy
from tests.support.comparisons import MACHINE, case, only, side

POLICY = ComparisonPolicy()


def between(base, new):
    """Return how the machine and the software differ, as names with both values."""
    found = differences(side([], stable=base), side([], stable=new))
    return tuple([(one.fact, one.base, one.new) for one in of] for of in found)


def test_threads_are_the_machine_and_torch_is_not():
    assert only(case(), case(), stable={**MACHINE, "threads": 1}).outcome == "not comparable"
    changes = compare(side([case()]), side([case()], stable={**MACHINE, "torch": "2.14.0"}), policy=POLICY)
    assert changes.comparable == 1
    assert [(one.fact, one.base, one.new) for one in changes.software] == [("torch", "2.13.0+cpu", "2.14.0")]


def test_two_sides_of_one_environment_differ_in_nothing():
    assert between(MACHINE, dict(MACHINE)) == ([], [])


@pytest.mark.parametrize("sides", [({}, MACHINE), (MACHINE, {}), ({}, {})])
def test_a_side_that_names_no_machine_differs_in_nothing(sides):
    assert between(*sides) == ([], [])


def test_every_difference_is_named_once_in_the_order_of_the_alphabet():
    machine, software = between(
        {"threads": 2, "cpu": "A", "torch": "1", "mkl": "1", "same": 1},
        {"cpu": "B", "threads": 4, "mkl": "2", "torch": "2", "same": 1},
    )
    assert machine == [("cpu", "A", "B"), ("threads", 2, 4)]
    assert software == [("mkl", "1", "2"), ("torch", "1", "2")]


def test_a_fact_that_one_side_lacks_is_none_there():
    assert between({"cpu": "A", "gpu": "H100"}, {"cpu": "A", "numpy": "2.3"}) == (
        [("gpu", "H100", None)],
        [("numpy", None, "2.3")],
    )


def test_a_fact_without_a_value_is_as_one_that_is_absent():
    assert between({"cpu": "A", "gpu": None}, {"cpu": "A"}) == ([], [])


def test_facts_with_parts_differ_where_a_part_does():
    machine, _ = between({"cpu_caches": {"L1": 1, "L2": 2}}, {"cpu_caches": {"L1": 1, "L2": 4}})
    assert machine == [("cpu_caches", {"L1": 1, "L2": 2}, {"L1": 1, "L2": 4})]
    assert between({"cpu_caches": {"L1": 1, "L2": 2}}, {"cpu_caches": {"L2": 2, "L1": 1}}) == ([], [])


@pytest.mark.parametrize("fact", sorted(SOFTWARE))
def test_an_update_leaves_the_machine_as_it_is(fact):
    machine, software = between({"cpu": "A", fact: "1"}, {"cpu": "A", fact: "2"})
    assert (machine, software) == ([], [(fact, "1", "2")])


@pytest.mark.parametrize("fact", ["cpu", "gpu", "threads", "allocator", "device", "a fact of tomorrow"])
def test_any_other_fact_is_the_machine(fact):
    machine, software = between({"x": 1, fact: "1"}, {"x": 1, fact: "2"})
    assert (machine, software) == ([(fact, "1", "2")], [])
