"""The scenario of packed sequences: in the catalog, not in the default, its claim what the cost model counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from impls import registry
from scenarios import catalog, varlen
from tests.support.places import ROOT


def test_it_is_found_by_name_is_no_part_of_the_default_and_is_in_the_docs():
    assert catalog.find("varlen") is varlen.VARLEN
    assert "varlen" not in catalog.DEFAULT
    assert {catalog.find(name).problem for name in catalog.DEFAULT} == {"attention"}
    assert "| `varlen` |" in Path(ROOT / "docs/scenarios.md").read_text()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_tokens_are_swept_for_each_distribution_and_squares_of_lengths_grow_as_the_claim_says(device):
    points, dropped = varlen.VARLEN.on_device(device).points()
    assert dropped == []
    problem = registry.problem("varlen")
    for name in ("equal", "uniform", "long_tailed"):
        swept = [point for point in points if point["lengths"] == name]
        assert len(swept) == 6
        small, large = (
            problem.cost(problem.parse(point), itemsize=4, direction="forward") for point in (swept[0], swept[-1])
        )
        growth = (swept[-1]["n"] / swept[0]["n"]) ** varlen.SUM_OF_SQUARES.exponents["n"]
        # Lengths are whole: the shortest sweep is a little off its distribution.
        assert large.operations / small.operations == pytest.approx(growth, rel=0.03)
