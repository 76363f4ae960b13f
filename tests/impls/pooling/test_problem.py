"""Attention pooling: every method agrees with the oracle, and the oracle rejects what is wrong."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from impls import registry
from impls.pooling import problem as pooling
from impls.pooling.nadaraya_watson import nadaraya_watson
from tests.support.pools import METHODS, gate


@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("name", METHODS)
def test_every_method_agrees_with_the_oracle(name, dtype, direction):
    entry = registry.get("pooling", name)
    if direction != "forward" and "backward" not in entry.limits_on("cpu").supports:
        pytest.skip(f"{name} has nothing to train")
    for probe in pooling.PROBES:
        agreement = gate(entry, probe, direction=direction, dtype=dtype)
        assert agreement.passed, (probe.name, [check for check in agreement.checks if not check.passed])


@pytest.mark.parametrize("wrong", ["predictions", "weights", "narrower"])
def test_a_wrong_method_is_rejected(wrong):
    def broken(queries, keys, values, *, kernel, w):
        predictions, weights = nadaraya_watson(
            queries, keys, values, kernel=kernel, w=1.01 * w if wrong == "narrower" else w
        )
        return (
            predictions * (1.001 if wrong == "predictions" else 1.0),
            weights.flip(0) if wrong == "weights" else weights,
        )

    entry = dataclasses.replace(registry.get("pooling", "nadaraya-watson"), function=broken)
    assert not gate(entry, pooling.PROBES[0]).passed
