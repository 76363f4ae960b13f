"""A library's order of axes is a view of ours, and head sizes it declines are named."""

from __future__ import annotations

import pytest
import torch

from impls.attention.cuda._layout import call_swapped, decline_head_sizes
from tests.support.attending import SIZES, by_formula, called, drawn


@pytest.mark.parametrize("extra", [(), (torch.zeros(3),)])
def test_axes_are_swapped_both_ways_without_a_copy_and_the_output_is_what_comes_first(extra):
    inputs = drawn({**SIZES, "kv_heads": 6}, dtype=torch.float32)
    seen = []

    def attend(q, k, v, *, softmax_scale):
        seen.extend((q, k, v))
        out = torch.einsum("bqhk,bkhd->bqhd", (torch.einsum("bqhd,bkhd->bqhk", q, k) * softmax_scale).softmax(-1), v)
        return (out, *extra) if extra else out

    scale = inputs.q.shape[-1] ** -0.5
    out = called(lambda q, k, v, **_: call_swapped(attend, q, k, v, softmax_scale=scale), inputs)
    torch.testing.assert_close(out.double(), by_formula(inputs), atol=1e-5, rtol=1e-5)
    assert [x.data_ptr() for x in seen] == [x.data_ptr() for x in (inputs.q, inputs.k, inputs.v)]


@pytest.mark.parametrize(
    ("d", "limits", "words"),
    [(100, {"multiple": 8}, "a multiple of 8, at most 256, not 100"), (136, {"at_most": 128}, "at most 128, not 136")],
)
def test_a_head_size_is_declined_with_what_would_do(d, limits, words):
    decline_head_sizes(64, **limits)
    with pytest.raises(NotImplementedError, match=words):
        decline_head_sizes(d, **limits)
