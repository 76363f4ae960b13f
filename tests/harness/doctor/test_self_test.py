"""The A/A test times one call under two names, and says how small a difference this machine can show."""

from __future__ import annotations

import pytest
import torch

from harness.doctor import self_test
from harness.instruments.rounds import Samples
from harness.policy import DEFAULT, Policy, TimingPolicy

# Enough for the shape of a result; nothing is asserted about its speed.
QUICK = Policy(timing=TimingPolicy(rounds_at_least=2, block_seconds_cpu=1e-4, warm_up_seconds=0.0, warm_up_calls=2))


def twins(*, second=1.0, canary=()):
    first = Samples(rounds=[[1.0, 1.0]] * 2, canary=[list(canary)])
    return {"a": self_test.Twins(first, Samples(rounds=[[second, second]] * 2))}


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
