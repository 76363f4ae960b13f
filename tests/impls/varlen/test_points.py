"""Points of packed sequences: lengths keep their tokens, mistakes are named at once, pairs are counted by length."""

from __future__ import annotations

import pytest

from impls.varlen._points import AXES, SHARES, attended_pairs, distributed, ends, features, parse


def test_equal_lengths_are_what_is_meant_where_nothing_is_said():
    point = parse({"n": 7, "batch": 3})
    assert (point.lengths, point.tokens, point.d, point.heads, point.causal) == ((7, 7, 7), 21, 64, 1, False)
    assert parse({"n": 7, "d": 32, "heads": 4}) == parse(
        {"lengths": [7], "d": 32, "d_v": 32, "heads": 4, "kv_heads": 4}
    )


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize(("mean", "sequences"), [(1, 1), (1, 40), (100, 8), (4096, 64)])
def test_a_distribution_keeps_the_tokens(name, mean, sequences):
    lengths = distributed(name, mean=mean, sequences=sequences)
    assert (len(lengths), sum(lengths)) == (sequences, mean * sequences)
    assert min(lengths) >= 0
    assert distributed(name, mean=mean, sequences=sequences) == lengths


def test_distributions_differ_in_the_squares_of_their_lengths():
    squares = {name: sum(n * n for n in distributed(name, mean=512, sequences=8)) for name in SHARES}
    assert squares["equal"] == 8 * 512**2
    assert 1.2 < squares["uniform"] / squares["equal"] < 1.5
    assert 2.0 < squares["long_tailed"] / squares["equal"] < 3.0
    assert max(distributed("long_tailed", mean=512, sequences=8)) > 4 * 512 * 0.9


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({}, "n is missing: give n, or lengths as a list"),
        ({"n": 4, "lenghts": "equal"}, "no axis 'lenghts'; did you mean 'lengths'"),
        ({"n": 4, "lengths": "normal"}, "lengths must be a list or one of equal, uniform, long_tailed, not 'normal'"),
        ({"lengths": [3, -1]}, "each of lengths must be a whole number of at least 0, not -1"),
        ({"lengths": [3, True]}, "not True"),
        ({"lengths": [0, 0]}, "lengths have no token"),
        ({"lengths": []}, "lengths have no token"),
        ({"lengths": [3], "n": 3}, "n has no say where lengths are a list"),
        ({"n": 4, "batch": 2**21}, "batch must be at most 1048576, not 2097152"),
        ({"n": 4, "heads": 4, "kv_heads": 3}, "heads 4 must be a multiple of kv_heads 3"),
        ({"n": 4, "causal": 1}, "causal must be true or false, not 1"),
        ({"n": 0, "scale": float("inf")}, "n must be a positive integer, not 0; scale must be a finite number"),
    ],
)
def test_a_point_that_is_none_is_refused_with_every_mistake(point, message):
    with pytest.raises(ValueError, match=r"^") as refused:
        parse(point)
    assert message in str(refused.value)


def test_what_a_point_needs_is_named():
    point = parse({"n": 4, "heads": 2, "kv_heads": 1, "d": 8, "d_v": 4, "causal": True})
    assert features(point, direction="backward") == {"causal", "gqa", "d_v", "backward"}
    assert features(parse({"n": 4}), direction="forward") == set()


def test_pairs_are_squares_of_lengths_or_their_triangles():
    assert attended_pairs(parse({"lengths": [3, 0, 5], "heads": 2})) == 2 * (9 + 25)
    assert attended_pairs(parse({"lengths": [3, 0, 5], "heads": 2, "causal": True})) == 2 * (6 + 15)


def test_ends_begin_at_zero_and_an_empty_sequence_has_its_own():
    assert ends((3, 0, 5)).tolist() == [0, 3, 3, 8]


def test_every_axis_is_one_of_scenarios():
    from scenarios.scenario import AXIS_NAMES

    assert set(AXES) <= set(AXIS_NAMES)
