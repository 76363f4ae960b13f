"""The steps of the tutorial's module: heads folded and unfolded, scores scaled, keys beyond the lengths left out."""

from __future__ import annotations

import pytest
import torch

from impls.multihead import steps


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_folding_puts_the_heads_of_a_batch_element_side_by_side_and_unfolding_undoes_it():
    x = drawn(2, 3, 8)
    folded = steps.fold(x, 4)
    assert folded.shape == (8, 3, 2)
    # The second head of the first batch element has its features 2 and 3.
    assert torch.equal(folded[1], x[0, :, 2:4])
    assert torch.equal(folded[4], x[1, :, :2])
    assert torch.equal(steps.unfold(folded, 4), x)


def test_a_projection_is_a_linear_layer_of_folded_heads_with_its_bias_or_without():
    x, w, b = drawn(2, 3, 5), drawn(8, 5, seed=1), drawn(8, seed=2)
    torch.testing.assert_close(steps.project(x, w, None, heads=2), steps.fold(x @ w.T, 2))
    torch.testing.assert_close(steps.project(x, w, b, heads=2), steps.fold(x @ w.T + b, 2))


def test_scores_are_dot_products_over_the_root_of_the_features_of_a_head():
    q, k = drawn(6, 3, 4), drawn(6, 5, 4, seed=1)
    torch.testing.assert_close(steps.score(q, k), torch.einsum("hqd,hkd->hqk", q, k) / 2)


def test_keys_beyond_the_lengths_weigh_nothing_and_a_row_without_keys_is_averaged():
    scores = drawn(2, 3, 4)
    lens = torch.tensor([[[2], [4], [0]], [[1], [1], [3]]])
    weights = steps.normalise(scores.clone(), lens)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, dtype=torch.float64))
    torch.testing.assert_close(weights[0, 0, :2], scores[0, 0, :2].softmax(-1))
    assert weights[0, 0, 2:].eq(0).all()
    torch.testing.assert_close(weights[0, 2], torch.full((4,), 0.25, dtype=torch.float64))


def test_masking_overwrites_the_scores_and_without_lengths_they_are_kept():
    scores = drawn(1, 1, 3)
    kept = scores.clone()
    steps.normalise(scores)
    assert torch.equal(scores, kept)
    steps.normalise(scores, torch.tensor([[[2]]]))
    assert scores[0, 0, 2] == torch.finfo(torch.float64).min


def test_heads_are_concatenated_before_the_output_projection():
    out, w, b = drawn(4, 3, 2), drawn(6, 4, seed=1), drawn(6, seed=2)
    joined = torch.cat([out[0:4:2], out[1:4:2]], -1)
    torch.testing.assert_close(steps.combine(out, w, b, heads=2), joined @ w.T + b)


@pytest.mark.parametrize(
    ("valid_lens", "folded"),
    [([3, 2], [[3], [3], [2], [2]]), ([[1, 2], [4, 3]], [[1, 2], [1, 2], [4, 3], [4, 3]])],
)
def test_each_head_has_the_lengths_of_its_batch_element(valid_lens, folded):
    found = steps.folded_lengths(torch.tensor(valid_lens), 2)
    assert found.squeeze(-1).tolist() == folded


def test_weights_have_no_bias_unless_given():
    weights = steps.Weights(*(drawn(2, 2, seed=seed) for seed in range(4)))
    assert weights[4:] == (None,) * 4
