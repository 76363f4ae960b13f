"""The gate rejects every deliberately wrong implementation in every dtype where it is wrong beyond rounding."""

from __future__ import annotations

import pytest
import torch

from harness.gate.battery import Examinee
from harness.gate.known import Known
from harness.policy import GatePolicy
from impls import contract, registry
from tests.support import sample
from tests.support.examining import examine
from tests.support.more_mutants import module, pooling
from tests.support.mutants import MUTANTS, honest
from tests.support.wrong_in_packs import honest as packed
from tests.support.wrong_in_rare import honest as knows_all

# What is right, for all mutants that are asked the same.
KNOWN = Known(bytes_at_most=2**29)


def subject(function, dtype, *, seed=0, problem="attention", claims=()):
    """Present a function as an implementation that claims what most know, and what else it `claims`."""
    features = {*registry.FEATURES, *claims} - ({"dirty_padding", *registry.RARE} - set(claims))
    limits = contract.Limits(registry.DEVICES, registry.DTYPES, frozenset(features))
    planted = contract.Implementation(problem=problem, name="planted", function=function, limits=(limits,))
    return Examinee(registry.problem(problem), planted, dtype, "cpu", GatePolicy(), seed=seed, known=KNOWN)


def first_disagreement(function, dtype, *, problem="attention", claims=()):
    """Return the first disagreement; what asks for a claim comes first, then the quick probes, as they meet most."""
    torch.manual_seed(0)
    planted = subject(function, dtype, problem=problem, claims=claims)

    def order(task):
        asked = planted.problem.features(planted.problem.parse(task.probe.point), direction=task.direction)
        is_quick = task.probe.quick or task.probe is planted.problem.REPEATED
        return not (asked | task.probe.needs) & set(claims), not is_quick

    return next((outcome for outcome in examine(planted, order=order) if outcome.status == "disagreed"), None)


def test_there_are_enough_ways_to_be_wrong():
    assert len(MUTANTS) >= 100
    assert {mutant.problem for mutant in MUTANTS.values()} == {"attention", "multihead", "pooling", "varlen"}


@pytest.mark.parametrize(
    "dtype", [pytest.param(dtype, marks=sample.marks("spoilt", dtype, registry.DTYPES)) for dtype in registry.DTYPES]
)
def test_what_the_mutants_spoil_is_accepted(dtype):
    assert first_disagreement(honest, dtype) is None
    assert first_disagreement(knows_all, dtype, claims=registry.RARE) is None
    assert first_disagreement(module, dtype, problem="multihead") is None
    assert first_disagreement(pooling, dtype, problem="pooling") is None
    assert first_disagreement(packed, dtype, problem="varlen") is None


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        pytest.param(name, dtype, marks=sample.marks(name, dtype, mutant.wrong_in))
        for name, mutant in MUTANTS.items()
        for dtype in mutant.wrong_in
    ],
)
def test_a_mutant_is_rejected(name, dtype):
    mutant = MUTANTS[name]
    outcome = first_disagreement(mutant.build(), dtype, problem=mutant.problem, claims=mutant.claims)
    assert outcome is not None
    assert outcome.direction == "backward" or not mutant.backward_only
    assert outcome.reason
