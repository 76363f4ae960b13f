"""A mask is named by its elements, a layout by its strides, and what no point can say is left out with the reason."""

from __future__ import annotations

import pytest
import torch

from harness.recording import recorder
from impls.attention import problem
from impls.attention._probes import LAYOUTS


def mask_of(**point):
    """What the masks of the oracle's own points allow, bool [batch, 1, n_q, n_k]."""
    parsed = problem.parse({"n_q": 6, "n_k": 10, "batch": 3, **point})
    own = torch.arange(parsed.n_q) + parsed.n_k - parsed.n_q
    keys = torch.arange(parsed.n_k)
    allowed = torch.ones(parsed.batch, parsed.n_q, parsed.n_k, dtype=torch.bool)
    if parsed.causal:
        allowed &= keys <= own[:, None]
    if parsed.window:
        allowed &= (own[:, None] - keys).abs() < parsed.window
    lengths = problem.lengths(parsed)
    if lengths is not None:
        allowed &= keys < lengths.reshape(parsed.batch, -1, 1)
    return allowed[:, None]


def axes_of(found):
    return {name: value for name, value in found.items() if value and name not in {"mask", "note"}}


@pytest.mark.parametrize("n_q", [6, 10])
@pytest.mark.parametrize(
    "point",
    [
        {},
        {"causal": True},
        {"causal": True, "window": 3},
        {"window": 3},
        {"valid_lens": 7},
        {"valid_lens": "batch"},
        {"causal": True, "valid_lens": "batch"},
        {"causal": True, "valid_lens": 4},
        {"valid_lens": "rows"},
    ],
)
def test_a_mask_is_named_as_the_point_it_is_of(point, n_q):
    mask = mask_of(**point, n_q=n_q)
    sizes = {"batch": 3, "n_q": n_q, "n_k": 10}
    additive = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
    if point == {"causal": True, "valid_lens": 4} and n_q == 6:
        # The first row's own key is the fifth: the triangle hides nothing that the length leaves.
        point = {"valid_lens": 4}
    assert axes_of(recorder.classified(mask, **sizes)) == point
    assert axes_of(recorder.classified(additive, **sizes)) == point


def test_what_is_no_such_mask_is_left_out_and_other_numbers_are_a_bias():
    sizes = {"batch": 2, "n_q": 4, "n_k": 4}
    left = mask_of(n_q=4, n_k=4, batch=2, valid_lens=3).flip(-1)
    assert "left_out" in recorder.classified(left, **sizes)
    by_head = torch.stack([torch.ones(2, 4, 4), torch.ones(2, 4, 4).tril()], 1) > 0
    assert "heads" in str(recorder.classified(by_head, **sizes)["left_out"])
    assert recorder.classified(torch.randn(1, 2, 4, 4), **sizes)["bias"] == "heads"
    assert recorder.classified(torch.randn(2, 2, 4, 4), **sizes)["bias"] == "batch"


@pytest.mark.parametrize(("kind", "name"), [("transposed", "bnhd"), ("one buffer", "packed"), ("columns", "strides [")])
def test_a_layout_is_named_as_the_battery_lays_it_out(kind, name):
    q, k, v = torch.randn(2, 4, 6, 8), torch.randn(2, 2, 6, 8), torch.randn(2, 2, 6, 8)
    assert recorder.layout_of(q, k, v) == "bhnd"
    assert recorder.layout_of(*LAYOUTS[kind](q, k, v)).startswith(name)
