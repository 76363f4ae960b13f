"""The problem `attention`: its inputs, what a call returns, the rows that are sampled, and what a call costs."""

from __future__ import annotations

import pytest
import torch

from impls import registry
from impls.attention import problem as attention
from impls.attention.batched import batched
from impls.contract import Implementation

CPU = torch.device("cpu")


def test_sampled_rows_hold_the_ends_the_block_edges_and_the_border_of_the_mask():
    problem = registry.problem("attention")
    rows = problem.sample_rows(problem.parse({"n_q": 3000, "n_k": 2000, "causal": True}), count=128, seed=1)
    assert {0, 1, 2998, 2999, 63, 64, 127, 128, 999, 1000, 1001} <= set(rows.tolist())
    assert len(rows) == 128 == len(set(rows.tolist()))


def drawn(point, *, dtype=torch.float32, seed=0, kind="normal"):
    return attention.inputs(attention.parse(point), dtype=dtype, device=CPU, seed=seed, kind=kind)


def test_inputs_have_the_shapes_of_the_point_and_its_options():
    point = {"n_q": 3, "n_k": 5, "d": 4, "d_v": 2, "heads": 6, "kv_heads": 2, "batch": 2, "causal": True, "scale": 0.5}
    inputs = drawn({**point, "valid_lens": "rows"}, dtype=torch.bfloat16)
    assert [tuple(x.shape) for x in inputs.tensors] == [(2, 6, 3, 4), (2, 2, 5, 4), (2, 2, 5, 2), (2, 3)]
    assert {x.dtype for x in inputs.differentiable} == {torch.bfloat16}
    assert inputs.options == {"causal": True, "scale": 0.5, "valid_lens": inputs.valid_lens}
    assert len(drawn(point).tensors) == 3


def test_a_seed_gives_the_same_values_rounded_to_the_dtype():
    single, half = drawn({"n": 9}, seed=4), drawn({"n": 9}, dtype=torch.float16, seed=4)
    assert torch.equal(single.v.half(), half.v)
    assert not torch.equal(single.v, drawn({"n": 9}, seed=5).v)
    assert single.q.mean().abs() < 0.2
    assert 0.9 < single.q.std() < 1.1


def test_a_point_says_how_its_tensors_lie_and_a_probe_of_another_layout_goes_before():
    point = {"n": 6, "d": 4, "heads": 2, "kv_heads": 1}
    plain = drawn(point)
    assert drawn({**point, "layout": "bhnd"}).q.is_contiguous()
    for layout, strides in (("bnhd", (48, 4, 8, 1)), ("packed", (96, 4, 16, 1))):
        inputs = drawn({**point, "layout": layout})
        assert inputs.q.stride() == strides
        assert all(torch.equal(a, b) for a, b in zip(inputs.tensors, plain.tensors, strict=True))
    assert drawn({**point, "layout": "packed"}, kind="columns").q.stride(-1) == 6


def test_a_point_says_what_values_it_is_about_and_a_probe_of_another_kind_goes_before():
    point = {"n": 40, "d": 16, "values": "peaked"}
    inputs = drawn(point)
    weights = (inputs.q @ inputs.k.mT / 4).softmax(-1)
    assert weights[..., 0].min() > 0.99
    assert torch.equal(inputs.v, drawn({"n": 40, "d": 16}).v)
    assert drawn({**point, "values": "long_tailed"}).v.abs().max() > drawn({"n": 40, "d": 16}).v.abs().max() * 2
    assert torch.equal(drawn(point, kind="needle").q, drawn({"n": 40, "d": 16}, kind="needle").q)
    assert torch.equal(drawn({**point, "values": "normal"}).q, drawn({"n": 40, "d": 16}).q)


def test_lengths_are_the_same_at_every_seed():
    point = {"n": 9, "batch": 4, "valid_lens": "batch"}
    assert torch.equal(drawn(point, seed=1).valid_lens, drawn(point, seed=2).valid_lens)


def test_an_unknown_kind_of_values_is_refused():
    with pytest.raises(KeyError, match="nice numbers"):
        drawn({"n": 3}, kind="nice numbers")


def test_the_output_is_described_with_the_axis_of_its_rows():
    parsed = attention.parse({"n_q": 3, "n_k": 5, "d": 4, "d_v": 2, "heads": 6, "batch": 2})
    (output,) = attention.outputs(parsed)
    inputs = drawn({"n_q": 3, "n_k": 5, "d": 4, "d_v": 2, "heads": 6, "batch": 2})
    assert batched(inputs.q, inputs.k, inputs.v).shape == output.shape
    assert (output.name, output.shape[output.row_axis]) == ("out", 3)


def test_a_call_is_bound_with_its_options():
    inputs = drawn({"n": 5, "d": 4, "causal": True, "scale": 0.1})
    entry = Implementation("attention", "a", lambda *tensors, **options: (tensors, options), ())
    tensors, options = attention.bind(entry, inputs)()
    assert tensors == (inputs.q, inputs.k, inputs.v)
    assert options == {"causal": True, "scale": 0.1, "valid_lens": None}


@pytest.mark.parametrize("count", [8, 64, 127])
@pytest.mark.parametrize("causal", [False, True])
def test_sampled_rows_are_as_many_as_asked_for_in_order_and_without_repeats(count, causal):
    rows = attention.sample_rows(attention.parse({"n_q": 128, "n_k": 64, "causal": causal}), count=count, seed=3)
    assert len(rows) == count
    assert torch.equal(rows, rows.unique())
    assert 0 <= rows.min() <= rows.max() < 128


def test_few_rows_are_all_taken_and_another_seed_takes_others_of_many():
    assert attention.sample_rows(attention.parse({"n": 5}), count=5, seed=0).tolist() == [0, 1, 2, 3, 4]
    many = attention.parse({"n": 5000})
    first, same, other = (attention.sample_rows(many, count=64, seed=seed).tolist() for seed in (1, 1, 2))
    assert first == same != other


def test_operations_are_two_products_a_pair_and_feature_and_backward_has_five_for_two():
    point = attention.parse({"n_q": 3, "n_k": 5, "d": 4, "d_v": 2, "heads": 6, "batch": 2, "causal": True})
    forward, backward, both = (
        attention.cost(point, itemsize=4, direction=direction)
        for direction in ("forward", "backward", "forward+backward")
    )
    assert forward.attended == 2 * 6 * (3 + 4 + 5)
    assert forward.phases == {"scores": 2 * 144 * 4, "weighted sum": 2 * 144 * 2}
    assert forward.operations == sum(forward.phases.values())
    assert backward.operations == 2.5 * forward.operations
    assert both.operations == forward.operations + backward.operations
    assert both.ideal_bytes == forward.ideal_bytes + backward.ideal_bytes
    assert (forward.score_elements, forward.query_rows) == (2 * 6 * 3 * 5, 2 * 6 * 3)


def test_a_window_is_sampled_at_its_edges_and_a_bias_is_an_input_of_its_own():
    rows = attention.sample_rows(attention.parse({"n": 3000, "causal": True, "window": 700}), count=128, seed=1)
    assert {699, 700, 701} <= set(rows.tolist())
    plain, biased = drawn({"n": 3, "heads": 2, "batch": 4}), drawn({"n": 3, "heads": 2, "batch": 4, "bias": "heads"})
    assert torch.equal(plain.v, biased.v)
    assert biased.bias.shape == (1, 2, 3, 3)
    assert drawn({"n": 3, "heads": 2, "batch": 4, "bias": "batch"}).bias.shape == (4, 2, 3, 3)
    assert biased.tensors[-1] is biased.bias
    assert biased.options == {**plain.options, "bias": biased.bias}
    costs = [
        attention.cost(attention.parse({"n": 3, "heads": 2, "batch": 4, "bias": bias}), itemsize=2, direction="forward")
        for bias in (None, "heads", "batch")
    ]
    assert [cost.input_bytes - costs[0].input_bytes for cost in costs] == [0, 2 * 2 * 9, 2 * 4 * 2 * 9]


@pytest.mark.parametrize(
    ("point", "elements"),
    [
        ({"n": 4, "causal": True}, 0),
        ({"n_q": 1, "n_k": 4, "causal": True}, 0),
        ({"n_q": 2, "n_k": 4, "causal": True, "batch": 3}, 8),
        ({"n": 4, "valid_lens": "batch", "batch": 3}, 3 * 4),
        ({"n": 4, "valid_lens": "batch", "batch": 3, "causal": True}, 3 * 16),
        ({"n": 4, "valid_lens": "rows", "batch": 3}, 3 * 16),
        ({"n": 4, "window": 2, "batch": 3}, 16),
        ({"n": 4, "bias": "heads"}, 0),
        ({"n": 4, "bias": "heads", "causal": True}, 16),
    ],
    ids=str,
)
def test_a_written_mask_has_the_elements_that_differ(point, elements):
    assert attention.cost(attention.parse(point), itemsize=4, direction="forward").mask_elements == elements


def test_bytes_are_those_of_the_tensors():
    point = {"n_q": 3, "n_k": 5, "d": 4, "d_v": 2, "heads": 6, "kv_heads": 2, "batch": 2}
    inputs = drawn(point, dtype=torch.float16)
    cost = attention.cost(attention.parse(point), itemsize=2, direction="forward")
    assert cost.input_bytes == sum(x.nbytes for x in inputs.differentiable)
    assert cost.output_bytes == batched(inputs.q, inputs.k, inputs.v).nbytes
    assert cost.ideal_bytes == cost.input_bytes + cost.output_bytes
