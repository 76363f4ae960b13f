"""The gate rejects gradients of pooling that are wrong by little."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from impls import registry
from impls.pooling.nadaraya_watson import nadaraya_watson
from tests.support.pools import PROBES, gate


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
