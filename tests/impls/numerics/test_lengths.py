"""Problems read sizes and lengths alike: what is wrong is said, what varies varies without a seed."""

from __future__ import annotations

import pytest
import torch

from impls import registry
from impls.numerics.lengths import key_lengths, parse_sizes, valid_lens_mistakes


def test_every_mistake_of_the_sizes_is_listed_at_once():
    sizes, mistakes = parse_sizes({"heads": 0, "batch": True, "d": 8}, {"n_q": None, "heads": 1, "batch": 1, "d": 64})
    assert sizes == {"d": 8}
    assert mistakes == [
        "n_q is missing: give n, or n_q and n_k",
        "heads must be a positive integer, not 0",
        "batch must be a positive integer, not True",
    ]


@pytest.mark.parametrize("right", [None, "batch", "rows", 0, 7])
def test_a_length_up_to_the_keys_is_right(right):
    assert valid_lens_mistakes(right, 7) == []


@pytest.mark.parametrize("wrong", [8, -1, True, 2.0, "row"])
def test_another_length_is_not(wrong):
    assert len(valid_lens_mistakes(wrong, 7)) == 1


def test_lengths_vary_within_the_keys_and_the_same_each_time():
    by_row = key_lengths("rows", batch=3, n_q=40, n_k=9)
    assert by_row.shape == (3, 40)
    assert set(by_row.flatten().tolist()) == set(range(1, 10))
    assert torch.equal(by_row, key_lengths("rows", batch=3, n_q=40, n_k=9))
    assert key_lengths("batch", batch=3, n_q=40, n_k=9).shape == (3,)
    assert key_lengths(4, batch=2, n_q=40, n_k=9).tolist() == [4, 4]
    assert key_lengths(None, batch=2, n_q=40, n_k=9) is None


@pytest.mark.parametrize("problem", ["attention", "multihead"])
def test_problems_refuse_a_length_in_the_same_words(problem):
    with pytest.raises(ValueError, match=r"^valid_lens 5 exceeds n_k 4$"):
        registry.problem(problem).parse({"n": 4, "valid_lens": 5})


@pytest.mark.parametrize(("kind", "ends"), [("batch_ends", {7, 1}), ("rows_ends", {7, 1}), ("batch_empty", {7, 0, 1})])
def test_ends_stand_among_lengths(kind, ends):
    lengths = key_lengths(kind, batch=4, n_q=3, n_k=7)
    assert lengths.shape == ((4,) if kind.startswith("batch") else (4, 3))
    assert set(lengths.flatten().tolist()) >= ends
    assert lengths.unique().numel() > len(ends)


@pytest.mark.parametrize("problem", ["attention", "multihead"])
def test_an_empty_sequence_among_others_is_a_dead_row(problem):
    found = registry.problem(problem)
    for kind, dead in (("batch_ends", False), ("batch_empty", True), ("rows_empty", True), (0, True), (1, False)):
        point = found.parse({"n": 4, "batch": 2, "valid_lens": kind})
        assert ("dead_rows" in found.features(point, direction="forward")) is dead
