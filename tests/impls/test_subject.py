"""A subject is an implementation at a point: it draws inputs, binds the call and knows what the call costs."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from impls.attention import problem as attention
from impls.attention.batched import batched
from impls.contract import Implementation, Limits
from impls.subject import Subject

LIMITS = Limits(("cpu",), ("float32", "float64"), frozenset({"backward"}))
POINT = attention.parse({"n_q": 3, "n_k": 5, "d": 4, "d_v": 2, "heads": 2})


def subject(function=batched, *, dtype=torch.float32, direction="forward", **declared):
    entry = Implementation("attention", "planted", function, (LIMITS,), **declared)
    return Subject(attention, entry, POINT, dtype, torch.device("cpu"), direction)


def test_inputs_are_the_seeds_in_the_subjects_dtype_and_of_the_kind_asked_for():
    asked = subject(dtype=torch.float64)
    first, again, other = (asked.inputs(seed=seed) for seed in (1, 1, 2))
    assert first.v.shape == (1, 2, 5, 2)
    assert {tensor.dtype for tensor in first.tensors} == {torch.float64}
    assert torch.equal(first.q, again.q)
    assert not torch.equal(first.q, other.q)
    shifted = asked.inputs(seed=1, kind="shifted values")
    torch.testing.assert_close(shifted.v, first.v + 10)


def test_a_bound_call_runs_the_implementation_on_these_inputs():
    asked = subject()
    inputs = asked.inputs(seed=0)
    assert torch.equal(asked.bind(inputs)(), batched(inputs.q, inputs.k, inputs.v))


def test_what_is_prepared_is_prepared_once_before_the_calls():
    prepared = []

    def prepare(q, k, v, **options):
        prepared.append(options)
        return lambda: batched(q, k, v, **options)

    asked = subject(lambda *_, **__: pytest.fail("the unprepared function was called"), prepare=prepare)
    call = asked.bind(asked.inputs(seed=0))
    assert torch.equal(call(), call())
    assert prepared == [{"causal": False, "scale": None, "valid_lens": None}]


def test_a_cost_follows_the_bytes_of_the_dtype_and_the_direction():
    # 15 pairs in each of 2 heads, with d + d_v = 6 products each, two operations a product.
    forward = subject().cost()
    assert forward.operations == 2 * 15 * 2 * 6
    assert subject(dtype=torch.float64).cost().ideal_bytes == 2 * forward.ideal_bytes
    assert subject(direction="backward").cost().operations == 2.5 * forward.operations


def test_a_subject_does_not_change_and_another_direction_is_another_one():
    asked = subject()
    with pytest.raises(dataclasses.FrozenInstanceError):
        asked.direction = "backward"
    assert dataclasses.replace(asked, direction="backward") != asked
    assert dataclasses.replace(asked) == asked
