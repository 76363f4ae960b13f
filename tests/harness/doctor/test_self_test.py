"""The A/A test times one call under two names, and says how small a difference this machine can show."""

from __future__ import annotations

import math

import pytest
import torch

from harness.doctor import self_test
from harness.instruments.rounds import Samples
from harness.policy import DEFAULT, RIGOROUS, Policy, TimingPolicy

# Enough for the shape of a result; nothing is asserted about its speed.
QUICK = Policy(timing=TimingPolicy(rounds_at_least=2, block_seconds_cpu=1e-4, warm_up_seconds=0.0, warm_up_calls=2))


def twins(*, second=1.0, canary=()):
    first = Samples(rounds=[[1.0, 1.0]] * 2, canary=[list(canary)])
    return {"a": self_test.SameCode(first, Samples(rounds=[[second, second]] * 2))}


def test_the_noise_floor_holds_95_percent_of_the_differences():
    ratios = [1.01] * 95 + [1.5] * 5
    assert self_test.noise_floor(ratios) == pytest.approx(0.01)
    assert self_test.noise_floor([*ratios, 1.5]) == pytest.approx(0.5)
    assert self_test.noise_floor([1 / 1.2, 1.0]) == pytest.approx(0.2)


def test_the_self_test_times_each_call_under_two_names_in_every_round():
    tested = self_test.self_test(device="cpu", policy=QUICK, is_full=False, seed=0)
    assert len(tested.ratios) == len(self_test.SELF_TEST_IMPLEMENTATIONS) * len(self_test.QUICK_LENGTHS)
    assert all(ratio > 0 for ratio in tested.ratios.values())
    assert tested.noise_floor >= 0


def test_a_copy_that_does_more_work_would_show():
    assert self_test.conclude(twins(second=1.3), policy=DEFAULT, seconds=1.0).noise_floor == pytest.approx(0.3)


def test_copies_are_not_called_different_and_a_slower_one_is():
    copies = {f"case {i}": [[0.001, -0.002, 0.001]] for i in range(20)}
    slower = {name: [[ratio + 0.5 for ratio in one] for one in processes] for name, processes in copies.items()}
    assert self_test.called_different(copies, policy=DEFAULT) == 0.0
    assert self_test.called_different(slower, policy=DEFAULT) == 1.0


def test_a_process_of_the_full_test_gives_the_round_ratios_of_every_case(monkeypatch):
    monkeypatch.setattr(self_test, "FULL_LENGTHS", (16, 32))
    monkeypatch.setattr(self_test, "FULL_HEADS", (1,))
    found = self_test.ratios_in_new_process("cpu", torch.get_num_threads(), 2, 0)
    assert len(found) == 2 * len(self_test.SELF_TEST_IMPLEMENTATIONS)
    assert all(len(ratios) == 2 for ratios in found.values())


def test_the_ratio_is_the_firsts_time_over_the_seconds_and_rounds_have_the_logarithm_of_the_speed_up():
    pair = self_test.SameCode(Samples(rounds=[[2.0, 2.0], [4.0]]), Samples(rounds=[[1.0, 1.0], [1.0]]))
    assert pair.ratio == 2.0
    assert pair.round_ratios == pytest.approx([-math.log(2.0), -math.log(4.0)])


def test_one_ratio_is_the_noise_floor_and_its_direction_does_not_matter():
    assert self_test.noise_floor([1.25]) == pytest.approx(0.25)
    assert self_test.noise_floor([0.8]) == pytest.approx(0.25)
    assert self_test.noise_floor([1.0, 1.0]) == 0.0


def test_the_centre_is_the_middle_ratio_and_a_reading_over_the_tolerance_is_contaminated():
    pairs = {
        str(second): self_test.SameCode(
            Samples(rounds=[[1.0]], canary=[[1.0] * 15 + [1.2, 1.3]]), Samples(rounds=[[second]], canary=[[1.0] * 3])
        )
        for second in (0.5, 1.0, 2.0)
    }
    tolerant = DEFAULT.model_copy(update={"timing": DEFAULT.timing.model_copy(update={"canary_tolerance": 1.25})})
    found = self_test.conclude(pairs, policy=tolerant, seconds=3.0, steal=0.25)
    assert found.ratios == {"0.5": 2.0, "1.0": 1.0, "2.0": 0.5}
    assert (found.centre, found.seconds, found.steal_share) == (1.0, 3.0, 0.25)
    assert found.contaminated == pytest.approx(1 / 20), "1.2 is within the tolerance, 1.3 is not"


def test_without_a_canary_nothing_is_said_of_contention():
    assert self_test.conclude(twins(), policy=DEFAULT, seconds=1.0).contaminated is None


def test_calls_are_of_every_implementation_length_and_number_of_heads(monkeypatch):
    monkeypatch.setattr(self_test, "FULL_LENGTHS", (16, 32))
    quick = self_test.make_calls(torch.device("cpu"), is_full=False, seed=0)
    full = self_test.make_calls(torch.device("cpu"), is_full=True, seed=0)
    names = self_test.SELF_TEST_IMPLEMENTATIONS
    assert set(quick) == {f"{name} n={n} heads=2" for name in names for n in self_test.QUICK_LENGTHS}
    assert set(full) == {f"{name} n={n} heads={heads}" for name in names for n in (16, 32) for heads in (1, 2)}
    outputs = [full[f"{name} n=32 heads=2"]() for name in names]
    assert all(out.shape == (1, 2, 32, 64) for out in outputs)
    torch.testing.assert_close(outputs[0], outputs[1])


def test_false_alarms_are_counted_over_cases_of_several_processes():
    # Half of the cases differ in each of three processes, by far more than copies do.
    ratios = {f"same {i}": [[0.001, -0.001], [0.0, 0.001], [-0.001, 0.0]] for i in range(10)}
    ratios |= {f"slower {i}": [[0.4, 0.41], [0.4, 0.39], [0.41, 0.4]] for i in range(10)}
    assert self_test.called_different(ratios, policy=RIGOROUS) == 0.5


def test_the_tests_of_the_doctor_survive_a_file():
    tested = self_test.conclude(twins(canary=[1.0]), policy=DEFAULT, seconds=1.0)
    assert self_test.SelfTest.model_validate_json(tested.model_dump_json()) == tested
