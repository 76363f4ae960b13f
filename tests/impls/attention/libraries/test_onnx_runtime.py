"""ONNX Runtime agrees where it says it does, its threads sleep between calls, and its memory is its own."""

from __future__ import annotations

import pytest
import torch

from harness.instruments.lingering import lingering_seconds
from harness.policy import DEFAULT
from impls import discovery, registry
from tests.support.attending import SIZES, by_formula, called, drawn
from tests.support.libraries import failures

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
discovery.discover()
ENTRY = registry.get("attention", "onnxruntime")


@pytest.mark.parametrize("dtype", ENTRY.limits[0].dtypes)
def test_it_agrees_in_each_of_its_dtypes(dtype):
    assert not failures("onnxruntime", dtype)


@pytest.mark.parametrize("scale", [0.0, -0.5])
def test_a_scale_that_the_node_refuses_goes_into_the_queries(scale):
    inputs = drawn({**SIZES, "scale": scale}, dtype=torch.float32)
    torch.testing.assert_close(called(ENTRY.function, inputs).double(), by_formula(inputs), atol=1e-5, rtol=1e-5)


def test_its_threads_sleep_between_calls():
    inputs = drawn({"n": 128, "d": 64, "heads": 4}, dtype=torch.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        called(ENTRY.function, inputs)
        assert lingering_seconds(lambda: called(ENTRY.function, inputs)) < DEFAULT.timing.lingering_at_most
    finally:
        torch.set_num_threads(threads)
