"""The systems of the tutorial find what it teaches: kernels, a learned scale, constant rows, the fused call."""

from __future__ import annotations

import itertools
import math

import pytest

from harness.lesson import systems


def test_the_data_is_the_tutorials(facts):
    pooling = facts.pooling
    assert (len(pooling.x), len(pooling.grid)) == (50, 100)
    assert pooling.x == sorted(pooling.x)
    assert pooling.x[0] >= 0
    assert pooling.x[-1] < 10
    assert pooling.grid == pytest.approx([step / 10 for step in range(100)], abs=1e-5)
    assert pooling.truth[20] == pytest.approx(2 * math.sin(2.0) + 2.0**0.8, rel=1e-5)
    noise = [y - (2 * math.sin(x) + x**0.8) for x, y in zip(pooling.x, pooling.y, strict=True)]
    # The standard deviation of 50 draws lies within 0.35 and 0.65 with all but certainty.
    assert 0.35 < math.sqrt(sum(value**2 for value in noise) / 50) < 0.65


def test_average_pooling_is_flat_and_a_kernel_is_closer_to_the_truth(facts):
    methods = {method.name: method for method in facts.pooling.methods}
    average, gaussian = methods["average"], methods["gaussian"]
    mean = sum(facts.pooling.y) / 50
    assert average.predictions == pytest.approx([mean] * 100, rel=1e-5)
    assert average.bends == 0
    assert gaussian.error < average.error / 2
    # Biased towards the local mean: the highest hill comes out lower, the lowest valley inside higher.
    assert max(gaussian.predictions) < max(facts.pooling.truth)


def test_every_row_of_weights_sums_to_one(facts):
    for method in facts.pooling.methods:
        for row in method.weights:
            # Weights are kept to five digits.
            assert sum(row) == pytest.approx(1.0, abs=50 * 5e-6)


def test_the_learned_curve_is_bumpier_than_the_given_kernel(facts):
    methods = {method.name: method for method in facts.pooling.methods}
    assert methods["learned"].bends > methods["gaussian"].bends


def test_training_collapses_after_the_first_step_then_never_rises(facts):
    losses = facts.learning.losses
    assert len(losses) == 100
    assert losses[1] < losses[0] / 2
    # float32 sums of 50 squares scatter by a few roundings of the loss.
    rounding = 50 * 2**-24 * losses[1]
    assert all(after <= before + rounding for before, after in itertools.pairwise(losses[1:]))
    assert all(outcome.largest_rise <= 50 * 2**-24 * outcome.second for outcome in facts.learning.outcomes)


def test_the_shown_seed_is_the_one_nearest_to_the_article(facts):
    first, second = systems.ARTICLE_LOSSES

    def distance(outcome):
        return math.hypot(math.log(outcome.first / first), math.log(outcome.second / second))

    assert min(facts.learning.outcomes, key=distance).seed == facts.learning.seed == systems.SHOWN_SEED


def test_the_optimiser_finds_no_worse_a_loss_than_training_for_any_seed(facts):
    outcomes = facts.learning.outcomes
    assert len(outcomes) == 60
    assert all(outcome.best_loss <= outcome.last * (1 + 1e-5) for outcome in outcomes)
    assert facts.learning.best_loss <= min(loss for _, loss in facts.learning.landscape)


def test_sgd_at_the_articles_rate_mostly_ends_short_of_the_optimum(facts):
    outcomes = facts.learning.outcomes
    assert sum(outcome.last > 1.05 * outcome.best_loss for outcome in outcomes) > 30
    assert any(outcome.last < 1.001 * outcome.best_loss for outcome in outcomes)


def test_the_example_gives_the_same_row_whatever_the_mask(facts):
    example = facts.example
    assert example.shape == [2, 4, 100]
    # Two sums of a hundred terms in float32, at four standard deviations of their rounding.
    allowed = 2 * 4 * math.sqrt(100) * example.unit * 10 * example.size
    assert example.between_rows < allowed
    assert example.from_product < allowed


def test_flash_refuses_the_articles_tensors_and_takes_them_with_a_head_axis(facts):
    answers = {(tuple(answer.shape), answer.backend): answer for answer in facts.fused}
    refused = answers[(2, 3, 8), "flash"]
    assert not refused.ran
    assert refused.message == "No available kernel"
    assert answers[(2, 3, 8), "math"].ran
    taken = answers[(2, 1, 3, 8), "flash"]
    assert taken.ran
    assert "flash" in taken.message
