"""The systems of the tutorial find what it teaches: kernels, a learned scale, constant rows, the fused call."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from harness.lesson import facts as lesson_facts
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


def test_a_whole_lesson_survives_its_file(facts, tmp_path):
    lesson_facts.write(facts, tmp_path)
    assert lesson_facts.read(tmp_path) == facts


def test_every_system_is_announced_before_it_begins(monkeypatch, facts):
    for name, found in (("pooled", facts.pooling), ("learnt", facts.learning), ("constant_example", facts.example)):
        monkeypatch.setattr(systems, name, lambda found=found: found)
    monkeypatch.setattr(systems, "fused_answers", lambda _device: facts.fused)
    steps = []
    lesson = systems.lesson(announce=steps.append)
    assert steps == ["attention pooling", "learned pooling over 60 seeds", "multi-head example", "the fused call"]
    assert lesson.work == facts.work
    assert lesson.seconds >= 0.0


def test_a_seed_draws_the_same_data_again_and_another_seed_others():
    x, y, start = systems.data(3)
    again = systems.data(3)
    assert torch.equal(x, again[0])
    assert torch.equal(y, again[1])
    assert start == again[2]
    assert not torch.equal(x, systems.data(4)[0])
    assert 0.0 <= start < 1.0


@pytest.mark.parametrize(
    ("curve", "turns"),
    [
        ([0.0, 1.0, 2.0], 0),
        ([0.0, 1.0, 0.0], 1),
        ([0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 2.0], 2),
        ([1.0, 1.0, 1.0], 0),
        ([1.0, 1.0, 2.0, 2.0], 0),
        ([1.0], 0),
    ],
)
def test_a_turn_is_from_rising_to_falling_or_back_whatever_lies_flat_between(curve, turns):
    assert systems.bends(torch.tensor(curve)) == turns


def test_scales_are_spread_evenly_by_their_ratios_from_end_to_end():
    found = systems.scales()
    assert (found[0], found[-1], len(found)) == (systems.SCALES[0], pytest.approx(systems.SCALES[1]), 120)
    ratios = [after / before for before, after in itertools.pairwise(found)]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))


def test_the_best_scale_is_refined_beyond_the_grid_and_no_scale_of_it_is_better():
    x, y, _ = systems.data(5)
    w, loss = systems.best_scale(x, y)
    grid = [systems.exact_loss(one, x, y) for one in systems.scales()]
    assert loss <= min(grid)
    assert loss == systems.exact_loss(w, x, y)
    nearby = min(systems.exact_loss(w * factor, x, y) for factor in (0.99, 1.01))
    assert loss < nearby


def test_a_best_scale_at_the_end_of_the_search_is_found_there():
    # Neighbours that say the opposite: the widest kernel errs least.
    x, y = torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor([1.0, -1.0, 1.0, -1.0])
    w, loss = systems.best_scale(x, y)
    assert systems.SCALES[0] <= w <= 1.1 * systems.SCALES[0]
    assert loss == pytest.approx(systems.exact_loss(systems.SCALES[0], x, y), rel=1e-3)


def test_one_seed_has_the_figures_of_its_own_training():
    found = systems.outcome(systems.SHOWN_SEED)
    x, y, start = systems.data(systems.SHOWN_SEED)
    assert found.start == start
    assert found.first == pytest.approx(systems.exact_loss(start, x, y), rel=1e-5)
    assert found.last <= found.second < found.first
    assert found.best_loss <= found.last * (1 + 1e-5)


@pytest.mark.parametrize("n", systems.WORK_LENGTHS)
def test_operations_of_the_steps_follow_the_articles_formula(n):
    found = systems.operations(n)
    width = systems.WORK_WIDTH
    assert (found.n, found.width, found.heads) == (n, width, systems.WORK_HEADS)
    # Four projections of n D^2 multiplications and two products of n^2 D, two operations each.
    products = {name: count for name, count in found.phases.items() if name != "softmax"}
    assert sum(products.values()) == 2 * (4 * n * width**2 + 2 * n**2 * width)
    assert found.phases["softmax"] % (systems.WORK_HEADS * n**2) == 0


def test_a_backend_that_refuses_says_why_in_a_sentence_and_one_that_runs_what_ran():
    refused = systems._answer((2, 3), "flash", lambda: (_ for _ in ()).throw(RuntimeError("No kernel. More text.")))
    assert (refused.ran, refused.message) == (False, "No kernel")
    a = torch.ones(2, 3, 3)
    ran = systems._answer((2, 3, 3), "math", lambda: torch.bmm(a, a))
    assert (ran.ran, ran.shape, ran.message) == (True, [2, 3, 3], "aten.bmm")
