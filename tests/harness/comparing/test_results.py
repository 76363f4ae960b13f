"""Exact figures know their change, and an outcome whether it is news."""

from __future__ import annotations

from tests.support.comparisons import case, only


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
