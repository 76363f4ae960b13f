"""Kernels of the Hub agree where they can be had, and decline heads they have no kernel for."""

from __future__ import annotations

import pytest
import torch

from impls import discovery, registry
from tests.support.attending import called, drawn
from tests.support.libraries import failures_on_cuda

discovery.discover()


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["hub-flash-attn2", "hub-flash-attn3"])
def test_it_agrees_on_first_contact(name):
    assert not failures_on_cuda(name, "bfloat16")


def test_head_sizes_that_it_has_no_kernel_for_are_declined_before_anything_is_imported():
    with pytest.raises(NotImplementedError, match="head size must be a multiple of 8"):
        called(registry.get("attention", "hub-flash-attn3").function, drawn({"n": 4, "d": 12}, dtype=torch.bfloat16))
