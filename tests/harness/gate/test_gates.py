"""Every registered implementation agrees with the float64 oracle, in every dtype and feature it declares.

`pytest tests/harness/gate/test_gates.py --impl-file my_kernel.py` holds the implementations of a file to the same.
"""

from __future__ import annotations

import importlib.util

import pytest
import torch

from harness.gate.battery import Examinee
from harness.gate.known import Known
from harness.policy import GatePolicy
from impls import registry
from tests.support.examining import examine

# What is right, for all implementations of a dtype, as a worker keeps it.
KNOWN = Known()
# Three seconds a shape and more.
COMPILED = ("flex", "mha/flex")


# PyTorch says why a pinned backend takes no inputs of this layout, and then raises.
@pytest.mark.filterwarnings("ignore:Flash attention kernel not used", "ignore:All fused kernels require")
# PyTorch's compiler looks at the gradients of what it compiles, leaves or not.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
# It says that the API of nested tensors may change.
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_an_implementation_agrees(gate_case):
    entry, device, dtype = gate_case
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    missing = [name for name in entry.limits_on(device).requires if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    subject = Examinee(registry.problem(entry.problem), entry, dtype, device, GatePolicy(), known=KNOWN)
    # A function that compiles is held to fewer shapes, as each compiles anew: those of one name.
    only = "lengths" if entry.problem == "multihead" else "causal" if dtype == "float32" else "n_q 100"
    only = only if entry.name in COMPILED else ""
    outcomes = list(examine(subject, quick=entry.prepare is not None, only=only))
    failed = [outcome for outcome in outcomes if outcome.status not in {"ok", "unsupported"}]
    assert not failed, "\n".join(f"{outcome.title}: {outcome.reason}" for outcome in failed)
    assert any(outcome.status == "ok" for outcome in outcomes)
