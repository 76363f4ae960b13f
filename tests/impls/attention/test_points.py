"""A point of `attention` is right, or refused with everything that is wrong with it, and says what it needs."""

from __future__ import annotations

import dataclasses
import re

import pytest
import torch

from impls.attention._points import AXES, Point, allowed_keys, attended_pairs, features, lengths, parse


def test_what_is_left_out_follows_what_is_given():
    assert parse({"n": 5, "d": 3, "heads": 4}) == Point(
        n_q=5, n_k=5, d=3, d_v=3, heads=4, kv_heads=4, batch=1, causal=False, valid_lens=None, scale=None
    )
    assert (parse({"n": 5}).d, parse({"n": 5}).d_v) == (64, 64)


def test_a_length_of_its_own_takes_the_place_of_n():
    assert (parse({"n": 5, "n_q": 1}).n_q, parse({"n": 5, "n_q": 1}).n_k) == (1, 5)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"n": 4, "haeds": 2}, "no axis 'haeds'; did you mean 'heads'?"),
        ({"n_k": 4}, "n_q is missing: give n, or n_q and n_k"),
        ({"n": 0}, "n_q must be a positive integer, not 0"),
        ({"n": 4, "d": 2.0}, "d must be a positive integer, not 2.0"),
        ({"n": 4, "heads": 6, "kv_heads": 4}, "heads 6 must be a multiple of kv_heads 4"),
        ({"n": 4, "heads": 2, "kv_heads": 4}, "heads 2 must be a multiple of kv_heads 4"),
        ({"n": 4, "causal": 1}, "causal must be true or false, not 1"),
        ({"n": 4, "valid_lens": 5}, "valid_lens 5 exceeds n_k 4"),
        ({"n": 4, "scale": float("inf")}, "scale must be a finite number, not inf"),
        ({"n": 4, "scale": True}, "scale must be a finite number, not True"),
        ({"n": 4, "window": 0}, "window must be a positive integer, not 0"),
        ({"n": 4, "window": True}, "window must be a positive integer, not True"),
        ({"n": 4, "softcap": 0}, "softcap must be a positive number, not 0"),
        ({"n": 4, "softcap": float("nan")}, "softcap must be a positive number, not nan"),
        ({"n": 4, "bias": True}, "bias must be one of heads, batch, not True"),
        ({"n": 4, "layout": "nhwc"}, "layout must be one of bhnd, bnhd, packed, not 'nhwc'"),
        ({"n": 4, "values": "nice"}, "values must be one of normal, peaked, long_tailed, denormal, not 'nice'"),
    ],
)
def test_a_mistaken_point_is_refused_with_its_reason(point, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(point)


def test_all_mistakes_of_a_point_are_said_at_once():
    with pytest.raises(ValueError, match="causal must") as refused:
        parse({"n": -1, "d": 0, "d_v": 8, "causal": "yes", "scale": "big"})
    # n stands for both lengths.
    assert len(str(refused.value).split("; ")) == 5


@pytest.mark.parametrize(
    ("point", "needed"),
    [
        ({"n": 4}, set()),
        ({"n": 4, "scale": 2.0}, set()),
        ({"n_q": 2, "n_k": 4}, set()),
        ({"n": 4, "heads": 4, "kv_heads": 2}, {"gqa"}),
        ({"n": 4, "d": 8, "d_v": 4}, {"d_v"}),
        ({"n": 4, "causal": True}, {"causal"}),
        ({"n_q": 5, "n_k": 4, "causal": True}, {"causal", "dead_rows"}),
        ({"n_q": 5, "n_k": 4}, set()),
        ({"n": 4, "valid_lens": 4}, {"valid_lens"}),
        ({"n": 4, "valid_lens": 0}, {"valid_lens", "dead_rows"}),
        ({"n": 4, "batch": 3, "valid_lens": "batch_empty"}, {"valid_lens", "dead_rows"}),
        ({"n": 4, "window": 1}, {"window"}),
        ({"n_q": 5, "n_k": 2, "window": 4}, {"window"}),
        ({"n_q": 5, "n_k": 2, "window": 3}, {"window", "dead_rows"}),
        ({"n": 4, "window": 2, "valid_lens": 2}, {"window", "valid_lens", "dead_rows"}),
        ({"n": 4, "window": 2, "valid_lens": 3}, {"window", "valid_lens"}),
        ({"n": 4, "softcap": 5.0, "bias": "batch"}, {"softcap", "bias"}),
        ({"n": 4, "layout": "packed", "values": "peaked"}, set()),
    ],
    ids=lambda value: str(sorted(value)) if isinstance(value, set) else str(value),
)
def test_a_point_needs_the_features_that_it_uses(point, needed):
    parsed = parse(point)
    assert features(parsed, direction="forward") == needed
    for direction in ("backward", "forward+backward"):
        assert features(parsed, direction=direction) == needed | {"backward"}


@pytest.mark.parametrize(
    ("point", "pairs"),
    [
        ({"n": 4, "heads": 3, "batch": 2}, 2 * 3 * 16),
        ({"n": 4, "causal": True}, 10),
        ({"n_q": 2, "n_k": 5, "causal": True}, 4 + 5),
        ({"n_q": 5, "n_k": 2, "causal": True}, 1 + 2),
        ({"n": 4, "valid_lens": 3}, 12),
        ({"n": 4, "valid_lens": 2, "causal": True}, 1 + 2 + 2 + 2),
        ({"n": 4, "valid_lens": 0}, 0),
        # Rectangles, whose corner decides: by hand, the pairs under the diagonal from the last query and key.
        ({"n_q": 100, "n_k": 257, "causal": True}, 100 * 257 - 4950),
        ({"n_q": 257, "n_k": 100, "causal": True}, 5050),
        ({"n_q": 1, "n_k": 300, "causal": True}, 300),
        ({"n": 64, "causal": True}, 2080),
        # In closed form: a tensor with an element for each row would not fit.
        ({"n": 2**40, "causal": True}, 2**39 * (2**40 + 1)),
        ({"n": 4, "window": 1}, 4),
        ({"n": 4, "window": 2}, 2 + 3 + 3 + 2),
        ({"n": 4, "window": 2, "causal": True}, 1 + 2 + 2 + 2),
        ({"n": 4, "window": 9}, 16),
        ({"n_q": 2, "n_k": 5, "window": 2, "causal": True}, 2 + 2),
        ({"n": 4, "window": 2, "valid_lens": 2}, 2 + 2 + 1 + 0),
    ],
    ids=str,
)
def test_attended_pairs_are_counted_one_by_one(point, pairs):
    assert attended_pairs(parse(point)) == pairs


@pytest.mark.parametrize("valid_lens", [None, 0, 1, 3, "batch", "batch_empty", "rows"])
@pytest.mark.parametrize("causal", [False, True])
def test_pairs_are_the_sum_of_what_rows_may_attend_to(valid_lens, causal):
    for n_q, n_k in ((1, 5), (4, 5), (5, 5), (9, 5), (3, 3)):
        options = {"batch": 3, "heads": 2, "valid_lens": valid_lens, "causal": causal}
        point = parse({"n_q": n_q, "n_k": n_k, **options})
        assert attended_pairs(point) == 2 * int(allowed_keys(point).sum())


@pytest.mark.parametrize("valid_lens", ["batch", "rows", "rows_empty"])
def test_allowed_keys_are_those_that_both_masks_leave(valid_lens):
    point = parse({"n_q": 6, "n_k": 4, "batch": 3, "valid_lens": valid_lens, "causal": True})
    by_row = lengths(point).reshape(3, -1).expand(3, 6)
    below = torch.tensor([0, 0, 1, 2, 3, 4]).expand(3, 6)
    assert torch.equal(allowed_keys(point), torch.minimum(by_row, below))
    without = dataclasses.replace(point, causal=False)
    assert torch.equal(allowed_keys(without), by_row)


def test_each_axis_is_one_of_a_point_and_n_stands_for_two():
    assert set(AXES) == {"n", *(field.name for field in dataclasses.fields(Point))}
