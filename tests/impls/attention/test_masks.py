"""Masks that implementations share: which keys a row may see, and what is left of one that sees none."""

from __future__ import annotations

import pytest
import torch

from impls.attention._masks import adjusted, allowed, repeat_heads, softmax, without_padding


def rows(n_q, n_k, **options):
    """Return how many keys each row may see, [n_q] or [batch, n_q], and that they are the first ones."""
    mask = allowed(torch.zeros(2, 1, n_q, 3), torch.zeros(2, 1, n_k, 3), **options)
    mask = mask.expand(2, 1, n_q, n_k)[:, 0]
    counts = mask.sum(-1)
    assert torch.equal(mask, torch.arange(n_k) < counts[..., None])
    return counts.tolist()


def test_without_causal_and_lengths_there_is_no_mask():
    assert allowed(torch.zeros(1, 1, 3, 2), torch.zeros(1, 1, 3, 2), causal=False, valid_lens=None) is None


@pytest.mark.parametrize(("n_q", "n_k", "seen"), [(3, 3, [1, 2, 3]), (2, 5, [4, 5]), (1, 4, [4]), (4, 2, [0, 0, 1, 2])])
def test_causal_aligns_the_last_query_with_the_last_key(n_q, n_k, seen):
    assert rows(n_q, n_k, causal=True, valid_lens=None) == [seen, seen]


@pytest.mark.parametrize(("causal", "seen"), [(False, [[1, 2, 3], [2, 3], [3]]), (True, [[1, 2], [2, 3], [3]])])
def test_a_window_leaves_the_keys_less_than_so_far_from_a_rows_own(causal, seen):
    q, k = torch.zeros(1, 1, 3, 2), torch.zeros(1, 1, 5, 2)
    mask = allowed(q, k, causal=causal, valid_lens=torch.tensor([4]), window=2)
    assert [torch.where(row)[0].tolist() for row in mask[0, 0]] == seen


def test_scores_are_capped_before_the_bias_is_added():
    scores = torch.tensor([-100.0, 0.0, 100.0])
    assert adjusted(scores, softcap=None, bias=None) is scores
    torch.testing.assert_close(
        adjusted(scores, softcap=3.0, bias=torch.tensor([1.0, 2.0, 3.0])), torch.tensor([-2.0, 2.0, 6.0])
    )


def test_lengths_hold_by_batch_element_or_by_row_and_with_causal_the_smaller_one():
    by_batch, by_row = torch.tensor([2, 0]), torch.tensor([[1, 4, 0], [3, 3, 3]])
    assert rows(3, 4, causal=False, valid_lens=by_batch) == [[2, 2, 2], [0, 0, 0]]
    assert rows(3, 4, causal=False, valid_lens=by_row) == by_row.tolist()
    assert rows(3, 4, causal=True, valid_lens=by_row) == [[1, 3, 0], [2, 3, 3]]


def test_weights_sum_to_one_over_allowed_keys_and_are_zero_elsewhere_and_in_dead_rows():
    scores = torch.tensor([[1.0, 2.0, 50.0], [5.0, 5.0, 5.0]])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    weights = softmax(scores, mask)
    torch.testing.assert_close(weights[0, :2], scores[0, :2].softmax(-1))
    assert weights[0, 2].item() == 0.0
    assert weights[1].tolist() == [0.0] * 3
    assert torch.equal(softmax(scores, None), scores.softmax(-1))


def test_padding_is_cleared_beyond_the_longest_row_of_each_batch_element_in_a_copy():
    x = torch.full((2, 1, 4, 2), float("nan"))
    x[:, :, :2] = 1.0
    cleared = without_padding(x, torch.tensor([[1, 2], [2, 0]]))
    assert torch.equal(cleared[:, :, :2], torch.ones(2, 1, 2, 2))
    assert torch.equal(cleared[:, :, 2:], torch.zeros(2, 1, 2, 2))
    assert x[0, 0, 3].isnan().all()
    assert without_padding(torch.ones(2, 1, 4, 2), torch.tensor([4, 1]))[:, 0, :, 0].sum(-1).tolist() == [4.0, 1.0]


def test_query_heads_that_stand_together_read_one_key_head():
    k = torch.arange(2.0).reshape(1, 2, 1, 1).expand(1, 2, 3, 4)
    assert repeat_heads(k, 6)[0, :, 0, 0].tolist() == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    assert repeat_heads(k, 2) is k
