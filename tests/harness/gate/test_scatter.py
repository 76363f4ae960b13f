"""Dropout that is left out, or done twice, has the right mean and the wrong scatter."""

from __future__ import annotations

import pytest
import torch

from harness.gate.battery import Examinee
from harness.gate.scatter import check
from harness.policy import GatePolicy
from impls import contract, registry
from impls.contract import Scatter
from tests.support.examining import examine
from tests.support.more_mutants import module


def drawn(calls, rows, *, dropout, keys=12, width=5, twice=False, seed=0):
    """Draw what dropout on `keys` weights does to rows, and say how far it should: squared deviations, scatter."""
    generator = torch.Generator().manual_seed(seed)
    g = torch.randn(rows, keys, width, generator=generator, dtype=torch.float64)
    masks = torch.ones(calls, rows, keys, dtype=torch.float64)
    for _ in range(2 if twice else 1):
        masks *= (torch.rand(masks.shape, generator=generator) >= dropout) / (1 - dropout)
    moved = torch.einsum("crk,rkw->crw", masks - 1, g).square().sum(-1)
    lengths = g.square().sum(-1)
    odds = dropout / (1 - dropout)
    variance = odds * lengths.sum(-1)
    fourth = dropout + dropout**4 / (1 - dropout) ** 3
    most = (g.abs().sum(1) * max(1.0, odds)).square().sum(-1)
    return moved, Scatter(variance, 3 * variance.square() + fourth * lengths.square().sum(-1), most)


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.8])
def test_the_expectation_and_the_bounds_of_a_rows_scatter_hold(dropout):
    moved, scatter = drawn(20000, 3, dropout=dropout)
    torch.testing.assert_close(moved.mean(0), scatter.variance, rtol=0.05, atol=0.0)
    assert (moved.square().mean(0) <= scatter.square * 1.05).all()
    assert (moved <= scatter.most).all()


@pytest.mark.parametrize("dropout", [0.1, 0.5])
def test_honest_dropout_is_far_within_its_limits(dropout):
    ratios = [check(*drawn(48, 40, dropout=dropout, seed=seed)).ratio for seed in range(300)]
    assert max(ratios) < 0.7


@pytest.mark.parametrize("dropout", [0.1, 0.5])
def test_none_and_twice_are_refused(dropout):
    moved, scatter = drawn(48, 40, dropout=dropout)
    none = check(0 * moved, scatter)
    assert not none.passed
    assert "scatter 0 times" in none.detail
    twice, scatter = drawn(48, 40, dropout=dropout, twice=True)
    assert not check(twice, scatter).passed


@pytest.mark.parametrize("dtype", registry.DTYPES)
@pytest.mark.parametrize(("change", "passes"), [(None, True), ("no dropout", False), ("dropout twice", False)])
def test_a_module_is_asked_for_the_scatter_of_its_dropout(change, passes, dtype):
    torch.manual_seed(0)
    features = frozenset(registry.FEATURES)
    planted = contract.Implementation(
        "multihead",
        "planted",
        lambda *tensors, **options: module(*tensors, **options, change=change),
        (contract.Limits(registry.DEVICES, registry.DTYPES, features),),
    )
    subject = Examinee(registry.problem("multihead"), planted, dtype, "cpu", GatePolicy())
    (outcome,) = examine(subject, quick=True, only="scatter")
    assert outcome.status == ("ok" if passes else "disagreed"), outcome.reason
