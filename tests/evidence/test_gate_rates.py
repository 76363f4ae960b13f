"""The page of the gate is about implementations that run wherever it is written."""

from __future__ import annotations

from impls.registry import RARE
from tests.evidence.gate_rates import COMPARABLE, PUBLISHED_DTYPES, accepting, asked, comparable_dtypes
from tests.support.mutants import MUTANTS


def test_those_that_need_a_package_of_their_own_are_not_asked():
    found = asked()
    assert {"batched", "sdpa-flash"} <= {entry.name for entry in found}
    assert not any(entry.on_request or entry.load or entry.chosen for entry in found)


def test_published_rules_are_asked_of_what_any_kernel_offers():
    assert not any(probe.point.keys() & set(RARE) for probe in COMPARABLE)
    window, scale = (MUTANTS[name] for name in ("window ignored", "scale missing"))
    assert comparable_dtypes(window) == []
    assert set(comparable_dtypes(scale)) == set(PUBLISHED_DTYPES)
    assert accepting(scale, "float32", COMPARABLE) == []
