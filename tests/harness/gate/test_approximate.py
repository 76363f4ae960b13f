"""What is approximate by intent is measured, not judged: its errors are data, and the contract still holds for it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from harness.gate.approximate import distance
from harness.gate.battery import Examinee
from harness.policy import GatePolicy
from impls import contract, discovery, registry
from impls.attention.batched import batched
from impls.multihead.with_core import place
from tests.support.examining import examine
from tests.support.places import ROOT


def examinee(function, *, dtype="float32", approximate=True):
    features = frozenset({*registry.FEATURES} - {"dirty_padding", *registry.RARE})
    limits = contract.Limits(registry.DEVICES, registry.DTYPES, features)
    planted = contract.Implementation("attention", "planted", function, (limits,), approximate=approximate)
    return Examinee(registry.problem("attention"), planted, dtype, "cpu", GatePolicy())


def coarse(q, k, v, **options):
    """Round queries to steps of a sixteenth, as a quantised kernel does."""
    return batched(q + ((q.detach() * 16).round() / 16 - q.detach()), k, v, **options)


def test_the_four_errors_are_those_of_the_formulas():
    oracle = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    found = distance([(torch.tensor([[3.0, 0.0]]), oracle)])
    assert found.cosine == pytest.approx(9 / 15)
    assert found.relative_l1 == pytest.approx(4 / 7)
    assert found.rmse == pytest.approx(math.sqrt(16 / 2))
    assert found.largest == 4.0


def test_the_worst_tensor_counts_and_exact_ones_have_no_error():
    one = torch.ones(2, 2, dtype=torch.float64)
    exact = distance([(one, one), (0 * one, 0 * one)])
    assert (exact.cosine, exact.relative_l1, exact.rmse, exact.largest) == (pytest.approx(1.0), 0.0, 0.0, 0.0)
    worst = distance([(one, one), (-2 * one, one), (one, 0 * one)])
    assert (worst.cosine, worst.relative_l1, worst.rmse, worst.largest) == (pytest.approx(-1.0), 3.0, 3.0, 3.0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_kernel_that_says_so_is_not_refused_for_its_numbers_in_either_direction(dtype):
    outcomes = list(examine(examinee(coarse, dtype=dtype), quick=True))
    assert {outcome.status for outcome in outcomes} == {"ok", "unsupported"}
    found = [o.agreement.approximation for o in outcomes if o.agreement and "calls" not in o.probe and o.agreement]
    known = [one for one in found if one is not None]
    assert {o.direction for o in outcomes if o.agreement and o.agreement.approximation} == {"forward", "backward"}
    assert all(0.0 <= one.rmse <= one.largest for one in known)
    assert any(one.relative_l1 > 1e-3 for one in known)
    assert all(outcome.agreement.ratio is None for outcome in outcomes if outcome.agreement)


def test_the_same_kernel_is_refused_where_it_does_not_say_so():
    outcomes = list(examine(examinee(coarse, approximate=False), quick=True))
    assert any(outcome.status == "disagreed" for outcome in outcomes)


def test_no_approximate_kernel_is_asked_about_nan():
    outcomes = [outcome for outcome in examine(examinee(coarse), only="NaN in a query") if outcome.agreement is None]
    assert {(o.status, o.reason) for o in outcomes} == {("unsupported", "no NaN asked of approximate kernels")}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda out: out[:, :, 1:].clone(), "out has shape"),
        (lambda out: out + math.nan, "elements that are not finite"),
        (lambda out: out.double(), "out has dtype"),
    ],
)
def test_what_is_not_finite_or_of_another_shape_or_type_is_refused_all_the_same(spoil, said):
    def broken(*tensors, **options):
        return spoil(coarse(*tensors, **options))

    (outcome,) = examine(examinee(broken), only="decode, forward")
    assert outcome.status == "disagreed"
    assert said in outcome.reason


def test_a_module_around_an_approximate_core_is_approximate():
    planted = examinee(coarse).implementation
    assert place(planted).approximate
    assert not place(dataclasses.replace(planted, approximate=False)).approximate


def test_an_implementation_is_exact_unless_it_says_otherwise():
    fields = {field.name: field.default for field in dataclasses.fields(contract.Implementation)}
    assert fields["approximate"] is False
    ours = [
        entry for entry in discovery.discover().entries.values() if Path(entry.source).is_relative_to(ROOT / "impls")
    ]
    assert ours
    assert {entry.name for entry in ours if entry.approximate} == {"sageattention", "mha/sageattention"}
