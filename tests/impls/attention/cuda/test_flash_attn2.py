"""FlashAttention-2 agrees where it is installed, and declines heads it has no kernel for."""

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
    assert not failures_on_cuda("flash-attn-2", dtype)


def test_head_sizes_that_it_has_no_kernel_for_are_declined_before_anything_is_imported():
    with pytest.raises(NotImplementedError, match="head size must be at most 256"):
        called(registry.get("attention", "flash-attn-2").function, drawn({"n": 4, "d": 264}, dtype=torch.bfloat16))
