"""xformers agrees where it is installed."""

from __future__ import annotations

import pytest
import torch

from impls import discovery, registry
from tests.support.attending import called, drawn
from tests.support.libraries import failures_on_cuda

discovery.discover()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_it_agrees_on_first_contact(dtype):
    assert not failures_on_cuda("xformers", dtype)


def test_on_a_cpu_it_says_that_it_has_no_kernel():
    pytest.importorskip("xformers")
    inputs = drawn({"n_q": 3, "n_k": 5, "d": 8, "heads": 6, "kv_heads": 2}, dtype=torch.float32)
    # On a CPU it has no kernel, which it says.
    with pytest.raises(NotImplementedError, match="No operator found"):
        called(registry.get("attention", "xformers").function, inputs)
