"""The exponent's interval contains the truth, and no law half a power away passes for the claim."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

from harness.policy import ScalingPolicy
from harness.scaling.judgement import crossover, judge_law, local_slopes
from harness.scaling.law import Step, costs
from harness.scaling.reasons import MeasureSizes, ShortRange, TooFewSizes

SIZES = np.array([64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096], dtype=float)
# Best times in milliseconds of materialised attention, 4 heads of 64, float32, one thread of a virtual machine; from
# n = 1024 on the allocator returns buffers to the system, and every call faults its pages in again.
NAIVE_SIZES = [128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096]
NAIVE = [0.247, 0.533, 0.903, 2.08, 3.86, 9.85, 31.2, 88.9, 157.0, 357.0, 674.0]
# The same machine: an attention layer with projections, D = 512, 8 heads; attention within windows of 64 keys, 2 heads.
LAYER = [1.84, 2.72, 3.62, 5.58, 7.81, 12.8, 18.3, 32.3, 49.2, 95.2, 154.0, 315.0, 549.0]
WINDOW = [0.0437, 0.0757, 0.107, 0.14, 0.201, 0.267, 0.391, 0.527, 0.829, 1.11, 2.01, 2.98]
WINDOW_SIZES = [64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096]


def noisy(law, *, sets, noise=0.03, seed=1, sizes=SIZES):
    """Return [sets, m] costs of a law under lognormal noise."""
    generator = np.random.default_rng(seed)
    return law(sizes)[None] * np.exp(generator.normal(0, noise, (sets, len(sizes))))


def test_a_floor_and_an_exact_square_are_consistent_with_two():
    judgement = judge_law(SIZES, 5e-6 + 1e-9 * SIZES**2, claimed=2.0)
    assert judgement.verdict == "consistent"
    assert judgement.low <= 2.0 <= judgement.high
    assert judgement.high - judgement.low <= 0.1
    assert judgement.law.floor == pytest.approx(5e-6)
    assert judgement.floor_ends == pytest.approx(np.sqrt(5e-6 / 1e-9), rel=1e-3)
    assert judgement.rivals == ["n^2"]


def test_the_law_of_a_judgement_runs_through_what_was_judged():
    """Floor, power and step are one curve, and K is the one that was fitted."""
    sizes = np.array(NAIVE_SIZES, dtype=float)
    step = 1 + (2.5 - 1) / (1 + np.exp(-(np.log2(sizes) - 9.5) / 0.25))
    truth = 3e-4 + 2e-8 * sizes**2 * step
    law = judge_law(sizes, truth, claimed=2.0).law
    assert costs(law, sizes) == pytest.approx(truth)
    assert (law.first, law.last, law.sizes) == (128.0, 4096.0, 11)
    assert law.step == Step(at=2**9.5, height=2.5, octaves=0.5)
    assert law.floor_share == pytest.approx(law.floor / costs(law, [128.0])[0])
    without = law.model_copy(update={"step": None})
    assert costs(without, sizes)[-1] < truth[-1] / 2  # the step matters


def test_a_judgement_uses_the_policys_width_of_a_step():
    narrow = judge_law(NAIVE_SIZES, NAIVE, claimed=2.0, policy=ScalingPolicy(transition_octaves=0.25)).law
    assert narrow.step.octaves == 0.25
    assert judge_law(NAIVE_SIZES, NAIVE, claimed=2.0).law.step.octaves == 0.5


def test_a_kink_from_page_faults_is_no_other_power():
    judgement = judge_law(NAIVE_SIZES, NAIVE, claimed=2.0)
    assert judgement.verdict == "consistent"
    assert judgement.law.step is not None
    plain = np.polyfit(np.log(NAIVE_SIZES), np.log(NAIVE), 1)[0]
    assert plain > 2.25  # what a line through the logarithms says


def test_a_layer_is_judged_with_its_lower_term():
    pure = judge_law(SIZES, LAYER, claimed=2.0)
    layer = judge_law(SIZES, LAYER, claimed=2.0, kind="layer")
    assert pure.verdict == "contradicted"  # projections make it look like n^1.5
    assert 1.35 <= pure.low <= pure.high <= 1.55
    assert layer.verdict != "contradicted"
    assert layer.half is not None
    assert 200 <= layer.half <= 2000


@pytest.mark.parametrize(
    ("sizes", "why"),
    [(SIZES[:6], TooFewSizes(sizes=6, at_least=7)), (SIZES[:7], ShortRange(ratio=8.0, at_least=16.0))],
)
def test_too_few_sizes_or_too_short_a_range_decide_nothing(sizes, why):
    judgement = judge_law(sizes, 1e-9 * sizes**2, claimed=2.0)
    assert judgement.verdict == "inconclusive"
    assert judgement.reason == why
    assert judgement.to_decide == MeasureSizes(sizes=11, start=64.0, end=4096.0)


def test_windowed_attention_is_linear_and_not_quadratic():
    assert judge_law(WINDOW_SIZES, WINDOW, claimed=2.0).verdict == "contradicted"
    assert judge_law(WINDOW_SIZES, WINDOW, claimed=1.0).verdict == "consistent"


def test_a_floor_that_hides_the_law_leaves_it_open_and_says_from_where_to_measure():
    judgement = judge_law(SIZES, 1.0 + 1e-8 * SIZES**2, claimed=2.0)
    assert judgement.verdict == "inconclusive"
    assert judgement.reason.kind == "fixed cost"
    assert judgement.reason.cost == pytest.approx(1.0, rel=0.01)
    assert judgement.reason.share_at_smallest > judgement.reason.share_at_largest > 0.25
    wanted = judgement.to_decide
    assert (wanted.sizes, wanted.start, wanted.end, wanted.past_fixed_cost) == (11, 4096.0, 64 * 4096.0, True)


def test_wild_scatter_decides_nothing():
    judgement = judge_law(SIZES, noisy(lambda n: n**2, sets=1, noise=0.7)[0], claimed=2.0)
    assert judgement.verdict == "inconclusive"
    assert judgement.reason.kind == "scatter"
    assert judgement.reason.residual == judgement.law.residual > 0.2


def test_a_log_factor_is_told_where_nothing_else_moves():
    assert judge_law(SIZES, SIZES**2 * np.log2(SIZES), claimed=2.0).rivals == ["n^2 log n"]
    judgement = judge_law(SIZES, noisy(lambda n: n**2, sets=1, noise=0.05)[0], claimed=2.0)
    assert judgement.reason.up_to_logarithm == ("n^2 log n" in judgement.rivals)


def test_local_slopes_carry_the_intervals_of_their_costs():
    slopes = local_slopes([100, 200], [1.0, 4.0], [(0.99, 1.01), (3.9, 4.1)])
    assert slopes[0].slope == pytest.approx(2.0)
    assert slopes[0].low < 2.0 < slopes[0].high
    assert local_slopes([100, 200], [1.0, 4.0], None)[0].low is None


def test_the_crossover_is_where_both_terms_are_equal():
    assert crossover(SIZES, 3e-4 + 1e-6 * SIZES + 1e-9 * SIZES**2, claimed=2.0) == pytest.approx(1000.0, rel=1e-6)
    assert crossover(SIZES, 1e-9 * SIZES**2, claimed=2.0) is None


def test_order_of_sizes_does_not_matter():
    costs = noisy(lambda n: n**2, sets=1)[0]
    backwards = judge_law(SIZES[::-1], costs[::-1], claimed=2.0)
    assert backwards == judge_law(SIZES, costs, claimed=2.0)


def test_the_unit_of_cost_does_not_matter():
    costs = noisy(lambda n: n**2, sets=1)[0]
    first, second = judge_law(SIZES, costs, claimed=2.0), judge_law(SIZES, 1e9 * costs, claimed=2.0)
    assert (first.low, first.high, first.verdict) == (second.low, second.high, second.verdict)


@pytest.mark.parametrize(
    ("sizes", "costs", "claimed", "message"),
    [
        ([1, 2], [1, 2], 2.0, "2 sizes are too few"),
        ([1, 2, 3], [1, 2], 2.0, "3 sizes and 2 costs"),
        ([1, 2, 3], [1, 0, 3], 2.0, "positive"),
        ([1, 2, 3], [1, float("nan"), 3], 2.0, "positive"),
        ([1, 2, 2], [1, 2, 3], 2.0, "size 2 occurs twice"),
        ([1, 2, 3], [1, 2, 3], 0.0, "can't be told from a fixed cost"),
    ],
)
def test_data_that_can_not_be_judged_are_refused(sizes, costs, claimed, message):
    with pytest.raises(ValueError, match=message):
        judge_law(sizes, costs, claimed=claimed)


def test_sizes_from_one_on_are_judged_without_logarithms():
    sizes = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32], dtype=float)
    judgement = judge_law(sizes, 1e-4 * sizes, claimed=1.0)
    assert judgement.verdict == "consistent"
    assert judgement.rivals == ["n"]


def test_a_verdict_touches_few_enough_numbers_to_take_milliseconds():
    """Count process time, not wall time: twenty verdicts within a second leave 50 ms each."""
    costs = noisy(lambda n: n**2, sets=1)[0]
    judge_law(SIZES, costs, claimed=2.0, kind="layer")
    started = time.process_time()
    for _ in range(20):
        judge_law(SIZES, costs, claimed=2.0, kind="layer")
    assert time.process_time() - started < 1.0


def test_scaling_imports_neither_torch_nor_scipy():
    names = ", ".join(f"harness.scaling.{name}" for name in ("judgement", "descriptive", "exact"))
    code = f"import sys, {names}; print(sorted({{'torch', 'scipy'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_noise_in_which_a_lower_term_suffices_contradicts_nothing():
    # A kernel of a n + b n^2 by row, on a busy machine.
    sizes = [64, 128, 256, 384, 512, 768, 1024, 1536, 2048]
    costs = [1.76e-3, 3.63e-3, 7.68e-3, 1.42e-2, 2.06e-2, 2.74e-2, 5.22e-2, 9.24e-2, 0.151]
    assert judge_law(sizes, costs, claimed=2.0, kind="layer").verdict == "inconclusive"
    assert judge_law(sizes, [1e-3 * n for n in sizes], claimed=2.0, kind="layer").verdict == "contradicted"
