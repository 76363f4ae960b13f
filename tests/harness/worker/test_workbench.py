"""A workbench keeps account of calls, and what its implementations share."""

from __future__ import annotations

import torch

from harness.worker import workbench
from impls import registry
from impls.subject import Subject


def test_witnesses_are_worked_out_once_for_the_implementations_of_a_point(worker):
    made = []

    class Problem:
        def witness(self, inputs, rows):
            made.append((inputs, rows))
            return (inputs,)

    def subject(name, point):
        return Subject(Problem(), registry.get("attention", name), point, torch.float32, torch.device("cpu"))

    known = workbench.KnownWitnesses()
    for name in ("einsum", "batched"):
        assert known.of(subject(name, "p"), 1, "inputs", "rows") == ("inputs",)
    assert len(made) == 1
    known.of(subject("einsum", "p"), 2, "inputs", "rows")
    known.of(subject("einsum", "q"), 1, "inputs", "rows")
    known.of(subject("einsum", "p"), 1, "inputs", "rows")
    assert len(made) == 4, "two are kept"
