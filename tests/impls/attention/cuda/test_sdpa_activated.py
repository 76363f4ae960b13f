"""Another FlashAttention behind PyTorch's agrees where it is installed, and declines what would need a mask."""

from __future__ import annotations

import pytest
import torch
from torch.nn import attention

from impls import discovery, registry
from impls.attention.cuda.sdpa_activated import activated
from tests.support.attending import called, drawn
from tests.support.libraries import failures_on_cuda

discovery.discover()


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["sdpa-fa3", "sdpa-fa4"])
def test_it_agrees_on_first_contact(name):
    assert not failures_on_cuda(name, "bfloat16")


@pytest.mark.parametrize("name", ["sdpa-fa3", "sdpa-fa4"])
def test_a_causal_rectangle_is_declined(name):
    inputs = drawn({"n_q": 3, "n_k": 5, "d": 8, "causal": True}, dtype=torch.bfloat16)
    with pytest.raises(NotImplementedError, match="as many queries as keys"):
        called(registry.get("attention", name).function, inputs)


def test_what_is_put_behind_the_backend_is_taken_away_after_a_failure_too():
    removed = []

    class Handle:
        def remove(self):
            removed.append(1)

    attention.register_flash_attention_impl("planted", register_fn=Handle)
    seen = []

    def fails():
        with activated("planted"):
            seen.append(attention.current_flash_attention_impl())
            raise ZeroDivisionError

    try:
        with pytest.raises(ZeroDivisionError):
            fails()
    finally:
        attention._registry._FLASH_ATTENTION_IMPLS.pop("planted")
    assert (seen, removed) == (["planted"], [1])
    assert attention.current_flash_attention_impl() is None
