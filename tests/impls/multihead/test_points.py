"""A point of `multihead` is right, or refused with everything that is wrong with it."""

from __future__ import annotations

import pytest
import torch

from impls.multihead import problem as multihead
from impls.multihead._points import AXES, PHASES, attended_pairs
from tests.support.modules import CPU


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"n": 4, "width": 10, "heads": 3}, "width 10 must be a multiple of heads 3"),
        ({"n": 4, "widht": 10}, "no axis 'widht'; did you mean 'width'"),
        ({"n": 4, "dropout": 1.0}, "dropout must be a probability below 1"),
        ({"n": 4, "valid_lens": 5}, "valid_lens 5 exceeds n_k 4"),
        ({"n": 4, "phase": "score"}, "no phase 'score'; did you mean 'scores'"),
        ({"n": 4, "phase": "scores", "valid_lens": 2}, "run on plain self-attention"),
        ({"n_q": 4}, "n_k is missing"),
    ],
)
def test_a_mistaken_point_is_refused_with_its_reason(point, message):
    with pytest.raises(ValueError, match=message):
        multihead.parse(point)


def test_sizes_follow_the_width_and_the_tutorials_where_they_are_left_out():
    point = multihead.parse({"n": 6, "heads": 5})
    assert (point.width, point.d) == (100, 20)
    assert (point.query_size, point.key_size, point.value_size) == (100, 100, 100)
    assert point.is_self_attention
    other = multihead.parse({"n": 6, "width": 12, "key_size": 7})
    assert (other.query_size, other.key_size, other.value_size) == (12, 7, 12)
    assert not other.is_self_attention


@pytest.mark.parametrize(
    ("point", "needed"),
    [
        ({"n": 4, "heads": 2}, set()),
        ({"n": 4}, {"odd_heads"}),
        ({"n_q": 3, "n_k": 4, "heads": 2}, {"cross_attention"}),
        ({"n": 4, "heads": 2, "query_size": 7}, {"cross_attention", "query_size"}),
        ({"n": 4, "heads": 2, "query_size": 7, "key_size": 7, "value_size": 7}, {"query_size"}),
        ({"n": 4, "heads": 2, "dropout": 0.1}, {"dropout"}),
        ({"n": 4, "heads": 2, "valid_lens": 0}, {"valid_lens", "dead_rows"}),
        ({"n": 4, "heads": 2, "bias": True}, set()),
    ],
    ids=lambda value: str(sorted(value)) if isinstance(value, set) else str(value),
)
def test_a_point_needs_the_features_that_it_uses(point, needed):
    parsed = multihead.parse(point)
    assert multihead.features(parsed, direction="forward") == needed
    assert multihead.features(parsed, direction="backward") == needed | {"backward"}


@pytest.mark.parametrize(
    ("point", "pairs"),
    [
        ({"n_q": 3, "n_k": 5, "heads": 2, "batch": 4}, 4 * 2 * 15),
        ({"n": 4, "heads": 2, "batch": 3, "valid_lens": 3}, 3 * 2 * 4 * 3),
        ({"n": 4, "heads": 2, "valid_lens": 0}, 0),
    ],
    ids=str,
)
def test_attended_pairs_are_counted_one_by_one(point, pairs):
    assert attended_pairs(multihead.parse(point)) == pairs


@pytest.mark.parametrize("valid_lens", ["batch", "rows"])
def test_lengths_that_vary_are_added_up(valid_lens):
    point = multihead.parse({"n_q": 3, "n_k": 5, "heads": 2, "batch": 4, "valid_lens": valid_lens})
    inputs = multihead.inputs(point, dtype=torch.float32, device=CPU, seed=0)
    by_row = inputs.valid_lens.reshape(4, -1).expand(4, 3)
    assert attended_pairs(point) == 2 * by_row.sum()


def test_tensors_that_are_one_are_named_once():
    def names(**point):
        parsed = multihead.parse({"heads": 2, "width": 4, **point})
        return multihead.inputs(parsed, dtype=torch.float32, device=CPU, seed=0).names

    weights = ("w_q", "w_k", "w_v", "w_o")
    assert names(n=4) == ("x", *weights)
    assert names(n_q=3, n_k=4) == ("x_q", "x_kv", *weights)
    assert names(n=4, value_size=6) == ("x_q", "x_k", "x_v", *weights)
    assert names(n=4, bias=True) == ("x", *weights, "b_q", "b_k", "b_v", "b_o")


def test_every_tensor_of_a_call_is_one_of_its_inputs():
    point = multihead.parse({"n": 4, "heads": 2, "width": 4, "valid_lens": 2, "dropout": 0.5})
    inputs = multihead.inputs(point, dtype=torch.float32, device=CPU, seed=0)
    assert [x.shape for x in inputs.tensors] == [x.shape for x in inputs.differentiable] + [(1,)]
    assert inputs.options == {"heads": 2, "valid_lens": inputs.valid_lens, "dropout": 0.5}


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_is_run_on_plain_self_attention_alone(phase):
    assert multihead.parse({"n": 4, "phase": phase}).phase == phase
    for change in ({"bias": True}, {"dropout": 0.5}, {"n_q": 3}, {"query_size": 7, "key_size": 7, "value_size": 7}):
        with pytest.raises(ValueError, match="run on plain self-attention"):
            multihead.parse({"n": 4, "phase": phase, **change})


@pytest.mark.parametrize("dropout", [-0.1, 1, True, "half", float("nan")])
def test_what_is_no_probability_below_one_is_no_dropout(dropout):
    with pytest.raises(ValueError, match="dropout must be a probability below 1"):
        multihead.parse({"n": 4, "dropout": dropout})


def test_each_axis_sets_a_field_and_n_stands_for_two():
    assert set(AXES) == {"n", *multihead.Point.__dataclass_fields__}
