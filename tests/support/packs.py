"""Packed sequences for tests: drawn inputs, and the formula in float64 for each sequence by itself."""

from __future__ import annotations

import itertools
from dataclasses import replace

import torch

from harness.gate.agreement import agree
from harness.policy import GatePolicy
from impls import discovery, registry
from impls.subject import Subject
from impls.varlen import problem as varlen

CPU = torch.device("cpu")
discovery.discover()


def drawn(point, *, dtype=torch.float64, seed=0, kind="normal"):
    return varlen.inputs(varlen.parse(point), dtype=dtype, device=CPU, seed=seed, kind=kind)


def call(name, inputs):
    return varlen.bind(registry.get("varlen", name), inputs)()


def formula(inputs):
    """One row, one head at a time, by its definition: shares nothing with the oracle."""
    q, k, v = (x.double() for x in (inputs.q, inputs.k, inputs.v))
    out = q.new_zeros(*q.shape[:2], v.shape[2])
    group = q.shape[1] // k.shape[1]
    scale = q.shape[2] ** -0.5 if inputs.scale is None else inputs.scale
    for begin, end in itertools.pairwise(inputs.cu_seqlens.tolist()):
        for row, head in itertools.product(range(begin, end), range(q.shape[1])):
            seen = slice(begin, row + 1 if inputs.causal else end)
            weights = (k[seen, head // group] @ q[row, head] * scale).softmax(0)
            out[row, head] = weights @ v[seen, head // group]
    return out


def gate(name, point, *, kind="normal", direction="forward", dtype=torch.float32, function=None):
    entry = registry.get("varlen", name)
    entry = entry if function is None else replace(entry, function=function)
    subject = Subject(varlen, entry, registry.parse(entry, point), dtype, CPU, direction)
    return agree(subject, seed=1, policy=GatePolicy(), kind=kind)
