"""Jagged nested tensors give the formula without a causal mask, and leave nothing at the inputs."""

from __future__ import annotations

import pytest
import torch

from impls import registry
from tests.support.packs import call, drawn, formula


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_it_is_the_formula_and_wraps_no_input_itself():
    inputs = drawn({"lengths": [0, 3, 6, 0, 1], "heads": 2, "d": 8})
    before = [dict(vars(x)) for x in inputs.tensors]
    out = call("nested", inputs)
    assert type(out) is torch.Tensor
    torch.testing.assert_close(out, formula(inputs), rtol=1e-12, atol=1e-13)
    assert [dict(vars(x)) for x in inputs.tensors] == before


def test_what_has_no_kernel_on_a_cpu_is_not_offered_there():
    entry = registry.get("varlen", "nested")
    assert not {"causal", "gqa"} & entry.limits_on("cpu").supports
    assert entry.on_request
    assert entry.limits_on("cuda").untried
    assert not entry.limits_on("cpu").untried
