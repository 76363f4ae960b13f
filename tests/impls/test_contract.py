"""The context that an implementation's calls run in is entered around them, once for many, and named in the record."""

from __future__ import annotations

import functools
from contextlib import contextmanager

import pytest
import torch
from torch.nn.attention import SDPBackend

from harness.gate.agreement import agree
from harness.instruments.directions import measured_call
from harness.policy import GatePolicy
from impls import contract, discovery, registry
from impls.attention.batched import batched
from impls.subject import Subject

CPU = torch.device("cpu")


class Backend:
    """A choice that lasts as long as its context."""

    def __init__(self):
        self.inside, self.entered, self.calls = False, 0, 0

    @contextmanager
    def chosen(self):
        self.entered += 1
        self.inside = True
        try:
            yield
        finally:
            self.inside = False

    def attend(self, q, k, v, **options):
        assert self.inside, "called without its backend"
        self.calls += 1
        return batched(q, k, v, **options)


@pytest.fixture
def backend():
    return Backend()


def subject(backend, *, direction="forward"):
    limits = contract.Limits(("cpu",), ("float32",), frozenset(registry.FEATURES))
    planted = contract.Implementation("attention", "planted", backend.attend, (limits,), within=backend.chosen)
    problem = registry.problem("attention")
    return Subject(problem, planted, problem.parse({"n": 8, "d": 4}), torch.float32, CPU, direction)


@pytest.mark.parametrize("direction", ["forward", "backward", "forward+backward"])
def test_measured_calls_run_in_it_and_it_is_entered_once(backend, direction):
    asked = subject(backend, direction=direction)
    with measured_call(asked, asked.inputs(seed=0)) as measured:
        for _ in range(5):
            measured.call()
    assert backend.entered == 1
    assert backend.calls >= (1 if direction == "backward" else 5)
    assert not backend.inside


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_gate_calls_in_it(backend, direction):
    assert agree(subject(backend, direction=direction), seed=0, policy=GatePolicy()).passed
    assert backend.entered


def test_a_context_is_named_as_it_would_be_written(backend):
    discovery.discover()
    entry = subject(backend).implementation
    assert entry.within_name == "Backend.chosen"
    keyword = functools.partial(torch.autocast, "cpu", enabled=False)
    named = contract.Implementation("attention", "a", batched, (), within=keyword)
    assert named.within_name == "autocast(cpu, enabled=False)"
    assert str(SDPBackend.MATH) in registry.get("attention", "sdpa-math").within_name
