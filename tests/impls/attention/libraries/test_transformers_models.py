"""The functions that models of transformers call agree, and run what they are named after."""

from __future__ import annotations

import pytest
import torch

from impls import discovery, registry
from tests.support.attending import Watched, called, drawn
from tests.support.libraries import failures

pytest.importorskip("transformers")
discovery.discover()


@pytest.mark.parametrize(("name", "dtype"), [("hf-sdpa", "float64"), ("hf-sdpa", "bfloat16"), ("hf-eager", "float32")])
def test_it_agrees_in_each_of_its_dtypes(name, dtype):
    assert not failures(name, dtype)


@pytest.mark.parametrize(("name", "operator"), [("hf-sdpa", "scaled_dot_product"), ("hf-eager", "bmm")])
def test_it_runs_what_it_is_named_after(name, operator):
    entry = registry.get("attention", name)
    with Watched() as watched:
        called(entry.function, drawn({"n": 16, "d": 16}, dtype=torch.float32))
    assert any(operator in str(ran) for ran in watched.operators)
    assert entry.limits_on("cpu").expects.names == (operator,)
