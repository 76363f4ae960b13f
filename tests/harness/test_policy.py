"""Constants are frozen facts that survive a file, and every preset can end its rounds and keep its budget."""

from __future__ import annotations

import itertools

import pytest
from pydantic import ValidationError

from harness import policy
from harness.policy import DEFAULT, FAST, LESSON, RIGOROUS, Policy, TimingPolicy
from harness.runner import budget
from harness.stats.samples import summarise
from harness.stats.stopping import stop

PRESETS = {"fast": FAST, "default": DEFAULT, "rigorous": RIGOROUS, "lesson": LESSON}
every_preset = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)


@every_preset
def test_a_preset_survives_its_file(preset):
    assert Policy.model_validate_json(preset.model_dump_json()) == preset
    assert preset.version == policy.VERSION


def test_constants_do_not_change_and_unknown_ones_are_refused():
    with pytest.raises(ValidationError, match="frozen"):
        DEFAULT.timing.precision = 0.5
    with pytest.raises(ValidationError, match="Extra inputs"):
        TimingPolicy(precison=0.5)


def test_what_a_preset_does_not_name_is_the_default():
    assert Policy() == DEFAULT
    for preset in PRESETS.values():
        assert (preset.gate, preset.scaling, preset.memory) == (DEFAULT.gate, DEFAULT.scaling, DEFAULT.memory)


def test_more_rigorous_presets_have_more_rounds_more_time_and_a_finer_precision():
    for less, more in itertools.pairwise([FAST, DEFAULT, RIGOROUS]):
        for name in ("rounds_at_least", "rounds_aimed", "rounds_at_most"):
            assert getattr(less.timing, name) < getattr(more.timing, name)
        assert less.timing.precision > more.timing.precision
        assert less.run.time_budget_cpu < more.run.time_budget_cpu
        assert less.run.time_budget_cuda < more.run.time_budget_cuda


@every_preset
def test_rounds_of_a_preset_can_end_for_precision_and_at_the_most(preset):
    timing = preset.timing
    assert timing.rounds_at_least <= timing.rounds_aimed <= timing.rounds_at_most == timing.looks[-1]
    assert list(timing.looks) == sorted(set(timing.looks))
    quiet = [[1.0, 1.0001]] * timing.rounds_at_most
    ends = [count for count in range(1, len(quiet) + 1) if stop(quiet[:count], policy=timing)]
    assert ends == list(timing.looks)
    loud = [[1.0 + 0.9 * (index % 2)] for index in range(timing.rounds_at_most)]
    assert stop(loud[:-1], policy=timing) is None
    assert stop(loud, policy=timing) == "rounds"


@every_preset
def test_the_rounds_that_a_preset_needs_give_an_interval(preset):
    timing = preset.timing
    needed = min(timing.rounds_needed, timing.rounds_at_least)
    rounds = [[1.0 + 0.01 * (index % 2)] * timing.blocks_per_round for index in range(needed)]
    found = summarise(rounds, policy=timing)
    assert found.low < found.high


@every_preset
def test_what_is_measured_beside_time_and_the_report_leave_most_of_a_budget(preset):
    run = preset.run
    for device, whole in (("cpu", run.time_budget_cpu), ("cuda:0", run.time_budget_cuda)):
        aside = run.ceiling_seconds + run.ceiling_again_seconds + budget.report_seconds(100)
        assert aside < 0.2 * whole
        assert budget.pass_seconds(device, preset.telemetry) < 0.1 * whole
    assert run.busy_wait_share + run.extras_share < 0.5


def test_a_lesson_and_a_fast_run_skip_what_takes_seconds():
    assert LESSON.allocation.rounds == FAST.allocation.rounds == 0
    assert (LESSON.telemetry.points_cpu, LESSON.telemetry.points_cuda) == (0, 0)
    assert FAST.telemetry.window_cpu < DEFAULT.telemetry.window_cpu


def test_a_law_on_the_edge_of_the_band_is_half_a_power_from_no_neighbour():
    scaling = DEFAULT.scaling
    assert 2 * scaling.band == 0.5
    # A layer's grid is coarser and still finds each half of a power.
    for step in (scaling.exponent_step, scaling.layer_exponent_step):
        halves = (scaling.exponent_high - scaling.exponent_low) / step
        assert halves == pytest.approx(round(halves))
        assert 0.5 / step == pytest.approx(round(0.5 / step))
    assert list(scaling.transitions) == sorted(scaling.transitions)
    assert set(scaling.layer_transitions) <= set(scaling.transitions)
    assert scaling.sizes_advised >= scaling.sizes_at_least
    assert scaling.range_advised >= scaling.range_at_least >= scaling.regime_range
