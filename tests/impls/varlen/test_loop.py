"""The loop over sequences is the formula of each, and declares the scores that it holds."""

from __future__ import annotations

import pytest
import torch

from impls import registry
from tests.support.packs import call, drawn, formula


@pytest.mark.parametrize("causal", [False, True])
def test_it_is_the_formula_of_each_sequence(causal):
    inputs = drawn({"lengths": [0, 3, 6, 0, 1], "heads": 4, "kv_heads": 2, "d": 8, "causal": causal})
    torch.testing.assert_close(call("loop", inputs), formula(inputs), rtol=1e-12, atol=1e-13)


def test_it_plans_for_scores():
    assert registry.get("varlen", "loop").buffers("float32") == 2.0
