"""The naive loop: the formula row by row, a vector of scores at a time, and nothing read beyond a row's keys."""

from __future__ import annotations

import pytest
import torch

from impls import registry
from impls.attention.loop import loop
from tests.support.attending import RARE, SIZES, by_formula, called, drawn, watched


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"causal": True, "valid_lens": "rows"},
        {"valid_lens": "batch_empty", "batch": 3, "scale": 0.3},
        {"causal": True, "n_q": 7, "n_k": 4},
    ],
    ids=str,
)
def test_it_gives_what_the_formula_gives(changes):
    inputs = drawn({**SIZES, **changes})
    torch.testing.assert_close(called(loop, inputs), by_formula(inputs))


def test_nothing_is_made_but_a_row_of_scores_at_a_time_and_the_output():
    noted = watched(loop, drawn({"n_q": 9, "n_k": 31, "d": 1, "heads": 2}))
    assert noted.largest == 31
    assert noted.operators.count("_softmax") == 9 * 2


def test_nan_beyond_the_lengths_stays_there():
    point = {**SIZES, "valid_lens": "rows"}
    assert torch.equal(called(loop, drawn(point, kind="NaN padding")), called(loop, drawn(point)))
    assert "dirty_padding" in registry.get("attention", "loop").limits_on("cpu").supports


def test_scores_past_float16_are_scaled_before_they_are_products():
    out = called(loop, drawn({"n": 5, "d": 8}, dtype=torch.float16, kind="large products"))
    assert out.isfinite().all()


def test_its_calls_are_planned_by_the_row_and_without_score_buffers():
    entry = registry.get("attention", "loop")
    assert entry.call_seconds_per_row > 0
    assert entry.buffers("float32") == 0.0


@pytest.mark.parametrize("asked", RARE, ids=str)
def test_a_window_a_cap_and_a_bias_are_what_the_formula_says(asked):
    inputs = drawn({**SIZES, **asked})
    torch.testing.assert_close(called(loop, inputs), by_formula(inputs))
