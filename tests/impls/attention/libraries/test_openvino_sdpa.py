"""OpenVINO agrees in the precision it is asked for, whatever shape came first, and tells nobody of its import."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import torch

from impls import discovery, registry
from tests.support.attending import by_formula, called, drawn
from tests.support.libraries import failures

# Found and not imported: what the import tells others is hidden by `load` alone.
if importlib.util.find_spec("openvino") is None:
    pytest.skip("no openvino", allow_module_level=True)
discovery.discover()
ENTRY = registry.get("attention", "openvino")


@pytest.mark.parametrize("dtype", ENTRY.limits[0].dtypes)
def test_it_agrees_in_each_of_its_dtypes(dtype):
    assert not failures("openvino", dtype)


def test_what_reports_its_import_is_never_found():
    ENTRY.load()
    assert sys.modules["openvino_telemetry"] is None
    assert "openvino_telemetry.main" not in sys.modules


def test_a_first_call_of_one_token_leaves_the_next_shapes_right():
    ENTRY.load()
    for point in ({"n": 1, "d": 8}, {"n_q": 5, "n_k": 20, "d": 8, "heads": 3}):
        inputs = drawn(point, dtype=torch.float32)
        torch.testing.assert_close(called(ENTRY.function, inputs).double(), by_formula(inputs), atol=1e-5, rtol=1e-5)


def test_the_queries_of_a_group_share_keys_that_nobody_repeats():
    ENTRY.load()
    inputs = drawn({"n_q": 3, "n_k": 7, "d": 4, "heads": 6, "kv_heads": 2, "causal": True}, dtype=torch.float32)
    torch.testing.assert_close(called(ENTRY.function, inputs).double(), by_formula(inputs), atol=1e-5, rtol=1e-5)
