"""What an implementation declares: its limits, its buffers, and the context that its calls run in, entered once."""

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


def test_without_a_context_there_is_one_that_does_nothing():
    entry = contract.Implementation("attention", "a", batched, ())
    assert entry.within_name == ""
    with entry.entered() as nothing:
        assert nothing is None


def test_each_entry_has_a_context_of_its_own(backend):
    entry = subject(backend).implementation
    for _ in range(2):
        with entry.entered():
            assert backend.inside
    assert backend.entered == 2


def test_limits_are_those_of_the_device_and_none_elsewhere():
    host = contract.Limits(("cpu", "mps"), ("float32",), frozenset())
    device = contract.Limits(("cuda",), ("float16",), frozenset({"causal"}))
    entry = contract.Implementation("attention", "a", batched, (host, device))
    assert entry.limits_on("mps") is host
    assert entry.limits_on("cuda") is device
    assert contract.Implementation("attention", "a", batched, (device,)).limits_on("cpu") is None


@pytest.mark.parametrize(
    ("declared", "dtype", "buffers"),
    [(2.0, "float16", 2.0), ({"float32": 2.25, "float16": 4.5}, "float16", 4.5), ({"float32": 2.25}, "bfloat16", 0.0)],
)
def test_score_buffers_are_one_number_or_one_for_each_dtype(declared, dtype, buffers):
    entry = contract.Implementation("attention", "a", batched, (), score_buffers=declared)
    assert entry.buffers(dtype) == buffers


@pytest.mark.parametrize(
    ("point", "length"),
    [({"n": 33, "d": 512}, 33), ({"n_q": 1, "n_k": 300}, 300), ({"n_q": 257, "n_k": 100}, 257), ({"width": 9}, 0)],
)
def test_a_probe_is_as_long_as_its_longest_sequence(point, length):
    assert contract.Probe("a", point).length == length


@pytest.mark.parametrize(
    ("point", "length"),
    [
        ({"n": 8, "d": 64}, 8),
        ({"n_q": 3, "n_k": 9}, 9),
        ({"lengths": [0, 5, 2]}, 5),
        ({"n": 4, "lengths": "equal"}, 4),
        ({}, 0),
    ],
)
def test_a_probe_is_as_long_as_its_longest_size_or_listed_length(point, length):
    assert contract.Probe("x", point).length == length
