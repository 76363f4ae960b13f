"""Methods of attention pooling by name, and the gate that their tests hold them to in this process."""

from __future__ import annotations

import torch

from harness.gate.agreement import agree
from harness.policy import GatePolicy
from impls import discovery, registry
from impls.pooling import problem as pooling
from impls.subject import Subject

CPU = torch.device("cpu")
discovery.discover()
METHODS = registry.names("pooling")
PROBES = {probe.name: probe for probe in pooling.PROBES}


def gate(entry, probe, *, direction="forward", dtype=torch.float32):
    subject = Subject(pooling, entry, registry.parse(entry, probe.point), dtype, CPU, direction)
    return agree(subject, seed=1, policy=GatePolicy(), kind=probe.kind)
