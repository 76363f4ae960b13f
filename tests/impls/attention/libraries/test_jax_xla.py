"""JAX agrees where it says it does, with as many threads as torch has, and lends without a copy."""

from __future__ import annotations

import os

import pytest
import torch

from impls import discovery, registry
from impls.attention.libraries import jax_xla
from tests.support.attending import called, drawn
from tests.support.libraries import failures

pytest.importorskip("jax")
discovery.discover()
ENTRY = registry.get("attention", "jax")


@pytest.mark.parametrize("dtype", ENTRY.limits[0].dtypes)
def test_it_agrees_in_each_of_its_dtypes(dtype):
    # A shape compiles for half a second: some of the battery, masks among them.
    assert not failures("jax", dtype, only="causal")


def test_its_threads_are_as_many_as_those_of_torch():
    ENTRY.load()
    assert int(os.environ[jax_xla.THREADS_VARIABLE]) >= 1


def test_a_tensor_is_lent_as_it_lies():
    ENTRY.load()
    _, lend = jax_xla.compiled()
    q = drawn({"n": 16, "d": 16}, dtype=torch.float32).q
    assert lend(q).unsafe_buffer_pointer() == q.data_ptr()


def test_a_single_score_in_bfloat16_is_declined():
    ENTRY.load()
    with pytest.raises(NotImplementedError, match="single score"):
        called(ENTRY.function, drawn({"n": 1, "d": 8}, dtype=torch.bfloat16))
