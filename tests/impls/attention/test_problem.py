"""The problem `attention`: its inputs, what a call returns, the rows that are sampled, and what a call costs."""

from __future__ import annotations

from impls import registry


def test_sampled_rows_hold_the_ends_the_block_edges_and_the_border_of_the_mask():
    problem = registry.problem("attention")
    rows = problem.sample_rows(problem.parse({"n_q": 3000, "n_k": 2000, "causal": True}), count=128, seed=1)
    assert {0, 1, 2998, 2999, 63, 64, 127, 128, 999, 1000, 1001} <= set(rows.tolist())
    assert len(rows) == 128 == len(set(rows.tolist()))
