"""The calls that every tool times."""

from __future__ import annotations

import torch

from impls import discovery, registry
from tests.evidence.peers.tools import Case

SEED = 0
IMPLEMENTATIONS = {"cpu": ("batched", "online", "sdpa-flash"), "cuda": ("batched", "sdpa-flash", "sdpa-cudnn")}
LENGTHS = {"cpu": (64, 128, 256, 512, 1024), "cuda": (512, 1024, 2048, 4096, 8192)}
BASE = {"cpu": {"d": 64, "heads": 2}, "cuda": {"d": 64, "heads": 16}}
DTYPE = {"cpu": "float32", "cuda": "bfloat16"}


def build(implementation, point, *, dtype, device):
    """Prepare a case's call on inputs of a fixed seed."""
    discovery.discover()
    problem = registry.problem("attention")
    parsed = problem.parse(point)
    inputs = problem.inputs(parsed, dtype=getattr(torch, dtype), device=torch.device(device), seed=SEED)
    entry = registry.get("attention", implementation)
    return Case(implementation, point, dtype, device, problem.bind(entry, inputs), entry.entered)


def every(device, *, is_quick):
    """Build the grid; the quick one has two lengths of one implementation."""
    implementations = IMPLEMENTATIONS[device][:1] if is_quick else IMPLEMENTATIONS[device]
    lengths = LENGTHS[device][1:3] if is_quick else LENGTHS[device]
    return [
        build(implementation, {"n": n, **BASE[device]}, dtype=DTYPE[device], device=device)
        for n in lengths
        for implementation in implementations
    ]
