"""d2l's form: heads in the batch axis, two batched products, and all scores in memory."""

from __future__ import annotations

import pytest
import torch

from impls import registry
from impls.attention.batched import batched
from tests.support.attending import RARE, SIZES, by_formula, called, drawn, watched


def test_it_gives_what_the_formula_gives():
    inputs = drawn()
    torch.testing.assert_close(called(batched, inputs), by_formula(inputs))


def test_a_call_is_two_batched_products_around_one_softmax_over_all_scores():
    inputs = drawn({"n_q": 9, "n_k": 31, "d": 2, "heads": 3, "batch": 2})
    noted = watched(batched, inputs)
    kept = [name for name in noted.operators if name in {"bmm", "_softmax", "mm", "baddbmm"}]
    assert kept == ["bmm", "_softmax", "bmm"]
    assert noted.largest == 2 * 3 * 9 * 31


def test_it_declares_what_it_runs_and_two_buffers_of_scores():
    entry = registry.get("attention", "batched")
    assert entry.limits_on("cpu").expects.names == ("bmm",)
    assert entry.buffers("float32") == 2.0


def test_a_scale_of_zero_averages_the_values_and_none_is_one_over_the_root_of_d():
    inputs = drawn({"n": 5, "d": 4})
    mean = batched(inputs.q, inputs.k, inputs.v, scale=0.0)
    torch.testing.assert_close(mean, inputs.v.mean(2, keepdim=True).expand_as(mean))
    assert torch.equal(batched(inputs.q, inputs.k, inputs.v), batched(inputs.q, inputs.k, inputs.v, scale=0.5))


def test_finite_rubbish_beyond_the_lengths_never_leaks():
    point = {"n": 6, "d": 4, "batch": 2, "valid_lens": "batch"}
    assert torch.equal(called(batched, drawn(point, kind="huge padding")), called(batched, drawn(point)))


@pytest.mark.parametrize("asked", RARE, ids=str)
def test_a_window_a_cap_and_a_bias_are_what_the_formula_says(asked):
    inputs = drawn({**SIZES, **asked})
    torch.testing.assert_close(called(batched, inputs), by_formula(inputs))
