"""The gate rejects gradients of pooling that are wrong by little."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from impls import registry
from impls.numerics.bounded import Bounded
from impls.numerics.errors import units
from impls.pooling import _gradients
from impls.pooling.nadaraya_watson import nadaraya_watson
from tests.support.pools import CPU, PROBES, gate


class Tilted(torch.autograd.Function):
    """Pass a tensor on, and its gradient times a factor."""

    @staticmethod
    def forward(context, x, factor):
        context.factor = factor
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient * context.factor, None


@pytest.mark.parametrize("factor", [0.0, 1 - 1e-8], ids=["missing", "off"])
@pytest.mark.parametrize("probe", ["the tutorial's sizes", "narrow", "epanechnikov"])
@pytest.mark.parametrize("of", ["values", "w"])
def test_a_wrong_gradient_is_rejected_in_float64(of, probe, factor):
    def broken(queries, keys, values, *, kernel, w):
        values = Tilted.apply(values, factor) if of == "values" else values
        return nadaraya_watson(queries, keys, values, kernel=kernel, w=Tilted.apply(w, factor) if of == "w" else w)

    entry = dataclasses.replace(registry.get("pooling", "nadaraya-watson"), function=broken)
    assert gate(entry, PROBES[probe], dtype=torch.float64).passed
    found = gate(entry, PROBES[probe], dtype=torch.float64, direction="forward+backward")
    assert {check.name.split()[0] for check in found.checks if not check.passed} == {f"d{of}"}


SLOPES = {
    "gaussian": _gradients.gaussian_scale_gradient,
    "epanechnikov": _gradients.epanechnikov_scale_gradient,
}


def drawn(seed, *shape):
    """Draw numbers that float32 holds exactly."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def analysed(kernel, dtype):
    """Return autograd's gradients of values and scale in float64 and in a dtype, and what the analysis says of them."""
    x, keys, values, w, upstream = drawn(1, 7), drawn(2, 30), drawn(3, 30), torch.tensor(0.75).double(), drawn(4, 7)

    def gradients(as_type):
        v, scale = (t.to(as_type).requires_grad_(True) for t in (values, w))
        out, weights = nadaraya_watson(x.to(as_type), keys.to(as_type), v, kernel=kernel, w=scale)
        return [g.double() for g in torch.autograd.grad(out, (v, scale), upstream.to(as_type))], weights.detach()

    exact, weights = gradients(torch.float64)
    unit = units(dtype, CPU)
    # Weights of plain arithmetic err by a few roundings of their own size.
    attention = Bounded(weights, 20 * unit.store * (weights + weights.max()), unit)
    q, k, v, scale, g = (Bounded.exact(t, unit) for t in (x, keys, values, w, upstream))
    found = [
        _gradients.values_gradient(attention, g),
        SLOPES[kernel](_gradients.Distances(q, k, scale), attention, v, g),
    ]
    return exact, gradients(dtype)[0], found


@pytest.mark.parametrize("kernel", SLOPES)
def test_the_analysed_gradients_are_autograds_in_float64(kernel):
    exact, _, found = analysed(kernel, torch.float64)
    for gradient, analysis in zip(exact, found, strict=True):
        torch.testing.assert_close(analysis.value, gradient)


@pytest.mark.parametrize("kernel", SLOPES)
def test_float32_stays_within_the_bound_and_a_hundredth_is_beyond_it(kernel):
    exact, single, found = analysed(kernel, torch.float32)
    for gradient, rounded, analysis in zip(exact, single, found, strict=True):
        assert ((rounded - gradient).abs() <= analysis.bound).all()
        assert (0.01 * gradient.abs() > analysis.bound).any()


def test_a_key_at_the_edge_of_the_kernel_may_fall_on_either_side():
    unit = units(torch.float32, CPU)
    x, keys, values = torch.zeros(1).double(), torch.tensor([0.0, 1.0]).double(), torch.tensor([1.0, 2.0]).double()
    w, one = torch.tensor(1.0).double(), torch.ones(1).double()
    weights = Bounded.exact(torch.tensor([[1.0, 0.0]]).double(), unit)
    q, k, v, scale, g = (Bounded.exact(t, unit) for t in (x, keys, values, w, one))
    at_edge = _gradients.epanechnikov_scale_gradient(_gradients.Distances(q, k, scale), weights, v, g)
    k = Bounded.exact(torch.tensor([0.0, 1.1]).double(), unit)
    beyond = _gradients.epanechnikov_scale_gradient(_gradients.Distances(q, k, scale), weights, v, g)
    assert at_edge.bound > 1.0
    assert beyond.bound < 1e-3
