"""Probes are listed, and run by their place in the list."""

from __future__ import annotations

from harness.protocol import messages
from tests.harness.worker.test_worker import ask


def test_probes_are_run_by_their_place_in_the_list(worker):
    asked = {"problem": "attention", "quick": True, "only": "forward"}
    probes = ask(worker, messages.ListProbes(**asked)).probes
    outcome = ask(worker, messages.RunProbe(**asked, index=2, implementation="einsum", dtype="float32", seed=1)).outcome
    assert (outcome.probe, outcome.direction) == (probes[2].probe, probes[2].direction)
    assert outcome.status == "ok"
