"""SageAttention is approximate where it is installed, and declines what is not documented."""

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
    assert not failures_on_cuda("sageattention", dtype)


def test_it_is_approximate_and_declines_a_causal_rectangle():
    entry = registry.get("attention", "sageattention")
    assert entry.approximate
    with pytest.raises(NotImplementedError, match="as many queries as keys"):
        called(entry.function, drawn({"n_q": 3, "n_k": 5, "d": 8, "causal": True}, dtype=torch.bfloat16))
