"""FlashAttention-3 agrees where it is installed, and declines heads it has no kernel for."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from impls import discovery, registry
from tests.support.attending import called, drawn
from tests.support.libraries import failures_on_cuda

discovery.discover()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_it_agrees_on_first_contact(dtype):
    assert not failures_on_cuda("flash-attn-3", dtype)


def test_head_sizes_that_it_has_no_kernel_for_are_declined_before_anything_is_imported():
    with pytest.raises(NotImplementedError, match="head size must be a multiple of 8"):
        called(registry.get("attention", "flash-attn-3").function, drawn({"n": 4, "d": 12}, dtype=torch.bfloat16))


def test_a_number_of_splits_is_handed_on_where_it_is_chosen(monkeypatch):
    given = []

    def flash_attn_func(q, _k, _v, **options):
        given.append(options)
        return q

    monkeypatch.setitem(sys.modules, "flash_attn_interface", SimpleNamespace(flash_attn_func=flash_attn_func))
    for name in ("flash-attn-3", "flash-attn-3:num_splits=4"):
        called(registry.get("attention", name).function, drawn({"n": 4, "d": 16}, dtype=torch.bfloat16))
    assert [options.get("num_splits") for options in given] == [None, 4]
