"""Packed sequences: what is drawn, which tokens are looked at, what a call costs, and the battery's lengths."""

from __future__ import annotations

import pytest
import torch

from harness.instruments.counting import count
from impls.varlen import problem as varlen
from tests.support.packs import call, drawn, gate


def test_the_pack_has_a_border_for_each_sequence():
    inputs = drawn({"lengths": [3, 0, 5], "heads": 4, "kv_heads": 2, "d": 8, "d_v": 4}, dtype=torch.bfloat16)
    assert [tuple(x.shape) for x in inputs.tensors] == [(8, 4, 8), (8, 2, 8), (8, 2, 4), (4,)]
    assert (inputs.cu_seqlens.tolist(), inputs.cu_seqlens.dtype, inputs.max_seqlen) == ([0, 3, 3, 8], torch.int32, 5)


def test_one_buffer_holds_what_normal_inputs_are_as_views():
    point = {"lengths": [3, 5], "heads": 4, "kv_heads": 2, "d": 8, "d_v": 4}
    plain, packed = drawn(point), drawn(point, kind="one buffer")
    for a, b in zip(plain.differentiable, packed.differentiable, strict=True):
        assert torch.equal(a, b)
    assert len({x.untyped_storage().data_ptr() for x in packed.differentiable}) == 1
    assert packed.q.stride(0) > packed.q.shape[1] * packed.q.shape[2]


def test_of_many_tokens_the_ends_of_the_pack_and_of_the_longest_sequences_are_looked_at():
    point = varlen.parse({"lengths": [5, 1000, 0, 7, 300]})
    rows = varlen.sample_rows(point, count=12, seed=3).tolist()
    assert len(set(rows)) == 12
    assert rows == sorted(rows)
    assert {0, 1311, 5, 1004, 1012} <= set(rows)
    assert varlen.sample_rows(point, count=2000, seed=3).tolist() == list(range(1312))


@pytest.mark.parametrize("lengths", ["equal", "uniform", "long_tailed"])
def test_operations_are_the_sum_of_squares_of_lengths_as_the_model_says_and_padding_costs_the_longest(lengths):
    given = {"n": 24, "batch": 8, "lengths": lengths, "heads": 2, "d": 16}
    point, inputs = varlen.parse(given), drawn(given, dtype=torch.float32)
    modelled = varlen.cost(point, itemsize=4, direction="forward").operations
    assert modelled == 4 * 16 * 2 * sum(n * n for n in point.lengths)
    assert count(lambda: call("loop", inputs)).products == modelled
    assert count(lambda: call("sdpa", inputs)).products == modelled
    assert count(lambda: call("padded", inputs)).products == 4 * 16 * 2 * 8 * max(point.lengths) ** 2


def test_costs_of_directions_and_bytes():
    point = varlen.parse({"lengths": [3, 5], "heads": 4, "kv_heads": 2, "d": 8, "d_v": 4, "causal": True})
    forward, backward, both = (
        varlen.cost(point, itemsize=2, direction=direction) for direction in ("forward", "backward", "forward+backward")
    )
    assert forward.operations == 2 * 4 * (6 + 15) * (8 + 4) == sum(forward.phases.values())
    assert (backward.operations, both.operations) == (round(2.5 * forward.operations), round(3.5 * forward.operations))
    assert forward.input_bytes == 2 * 8 * (4 * 8 + 2 * 12) + 4 * 3
    assert forward.output_bytes == 2 * 8 * 4 * 4
    assert both.ideal_bytes == forward.ideal_bytes + backward.ideal_bytes
    assert forward.mask_elements == 0
    assert varlen.cost(varlen.parse({"lengths": [3, 5]}), itemsize=2, direction="forward").mask_elements == 2 * 5


def test_the_battery_has_every_kind_of_lengths():
    found = [(varlen.parse(probe.point).lengths, probe.point.get("causal", False)) for probe in varlen.PROBES]
    for causal in (False, True):
        lengths = [one for one, is_causal in found if is_causal == causal]
        assert any(0 in one for one in lengths), "empty ones, first and last among them"
        assert any(one[0] == 0 == one[-1] for one in lengths)
        assert any(1 in one for one in lengths)
        assert any(len(set(one)) == 1 < len(one) for one in lengths)
        assert any(len(one) == 1 for one in lengths)
        assert any(max(one) > 50 * min(one) > 0 for one in lengths)
        assert any(len(one) >= 40 for one in lengths)


def test_a_neighbours_key_that_attracts_is_in_the_battery_and_found():
    def across(q, k, v, *, cu_seqlens, **options):
        return call_all(q, k, v, cu_seqlens=cu_seqlens[[0, -1]], **options)

    from impls.varlen.loop import loop as call_all

    point = {"lengths": [3, 17, 1, 40], "heads": 2, "d": 16}
    assert gate("loop", point, kind="previous key").passed
    assert not gate("loop", point, kind="previous key", function=across).passed
