"""Multi-head modules by name, and the gate that their tests hold them to in this process."""

from __future__ import annotations

import torch

from harness.gate.agreement import agree
from harness.policy import GatePolicy
from impls import discovery, registry
from impls.multihead import problem as multihead
from impls.subject import Subject

CPU = torch.device("cpu")
discovery.discover()
MODULES = [
    name
    for name in registry.names("multihead")
    if registry.get("multihead", name).limits_on("cpu") and not registry.get("multihead", name).on_request
]
# Modules whose attention is compiled for each shape; tests/harness/gate/test_gates.py holds them to the quick probes.
COMPILED = [name for name in MODULES if name.startswith("mha/flex")]
MODULES = [name for name in MODULES if name not in COMPILED]
WHOLE = [name for name in MODULES if not name.startswith("phase/")]
PROBES = {probe.name: probe for probe in multihead.PROBES}


def gate(entry, point, *, direction="forward", dtype=torch.float32, kind="normal", seed=1):
    subject = Subject(multihead, entry, point, dtype, CPU, direction)
    return agree(subject, seed=seed, policy=GatePolicy(), kind=kind)


def failures(agreement):
    return [(check.name, check.ratio, check.detail) for check in agreement.checks if not check.passed]
