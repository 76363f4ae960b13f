"""The compiled formula agrees with and without a mask and gradients; a kernel is made once for a shape."""

from __future__ import annotations

import pytest
import torch

from harness.gate.agreement import agree
from harness.policy import GatePolicy
from impls import discovery, registry
from impls.attention import problem as attention
from impls.subject import Subject
from tests.support.attending import CPU, called, drawn

discovery.discover()
if ("attention", "compiled") in registry.REGISTRY.unavailable:
    pytest.skip(registry.REGISTRY.unavailable["attention", "compiled"].reason, allow_module_level=True)
ENTRY = registry.get("attention", "compiled")


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_it_agrees_under_every_mask_at_once(direction):
    point = {"n_q": 20, "n_k": 33, "d": 16, "heads": 4, "kv_heads": 2, "causal": True, "valid_lens": 30}
    subject = Subject(attention, ENTRY, attention.parse(point), torch.float32, CPU, direction)
    assert agree(subject, seed=0, policy=GatePolicy()).passed


def test_a_kernel_is_compiled_once_for_a_shape_and_keeps_its_two_products():
    inputs = drawn({"n": 24, "d": 16, "heads": 2}, dtype=torch.float32)
    compiled = torch._dynamo.utils.counters["stats"]
    with torch.no_grad():
        out = attention.bind(ENTRY, inputs)()
        before = compiled["unique_graphs"]
        again = called(ENTRY.function, drawn({"n": 24, "d": 16, "heads": 2}, dtype=torch.float32, seed=1))
        with torch.profiler.profile() as profile:
            called(ENTRY.function, inputs)
    assert compiled["unique_graphs"] == before
    assert not torch.equal(out, again)
    torch.testing.assert_close(out, registry.get("attention", "einsum").function(inputs.q, inputs.k, inputs.v))
    names = " ".join(event.key for event in profile.key_averages())
    assert "bmm" in names
    assert "scaled_dot_product" not in names
