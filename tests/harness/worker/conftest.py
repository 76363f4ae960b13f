"""A worker in this process, and a way to plant implementations of attention for the length of a test."""

from __future__ import annotations

import pytest

from harness.instruments import memory
from harness.policy import DEFAULT
from harness.protocol import messages
from harness.protocol.messages import encode
from harness.worker.__main__ import Worker
from impls import contract, discovery, registry
from tests.support.runs import ok_case

NOTHING = contract.Expected()


@pytest.fixture
def steps():
    return []


@pytest.fixture
def worker(steps, monkeypatch):
    """Start a worker in this process, without the cap on its memory."""
    monkeypatch.setattr(memory, "cap_process", lambda _limit: True)
    worker = Worker(announce=steps.append)
    started = worker.answer(encode(messages.Start(device="cpu", policy=DEFAULT)))
    assert isinstance(started, messages.Started)
    assert started.free > 0
    return worker


@pytest.fixture
def planted(monkeypatch):
    """Register a function as attention for the length of a test, and return its case."""
    # Modules are made of each implementation that stands when they are first imported: that must not be the planted.
    discovery.discover()

    def plant(function, *, expects=NOTHING, **declared):
        limits = contract.Limits(("cpu",), ("float32",), frozenset(), expects=expects)
        entry = contract.Implementation("attention", "planted", function, (limits,), **declared)
        monkeypatch.setitem(registry.REGISTRY.entries, ("attention", "planted"), entry)
        return ok_case("planted", n=16, d=8)

    return plant
