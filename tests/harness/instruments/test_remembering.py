"""Kept results are told from disturbed calls, however busy the machine is."""

from __future__ import annotations

import random

import pytest
import torch

from harness.instruments.remembering import Pair, find_kept, look_again
from harness.instruments.timing import Block
from harness.policy import DEFAULT

WORK, REPLAY, PRODUCT = 1e-3, 2e-5, 5e-4


class Machine:
    """A clock by which a call takes what it says it does, on a machine that other work disturbs.

    Each call may be `spike` times as long, with probability `share`; the first after a pause waits for its threads.
    """

    def __init__(self, seed, *, share=0.0, spike=1.0, wait=0.0):
        self.draw, self.share, self.spike, self.wait = random.Random(seed), share, spike, wait

    def __call__(self, call, calls):
        seconds = 0.0
        for number in range(calls):
            seconds += call() * (self.spike if self.draw.random() < self.share else self.draw.lognormvariate(0, 0.1))
            seconds += self.draw.expovariate(1 / self.wait) if self.wait and (number == 0 and calls == 1) else 0.0
        return Block(seconds=seconds / max(1, calls), host=0.0, calls=calls)


def kernel(tensor, *, kept_by=None, after=1):
    """Return a call that says how long it takes: the work, or a replay where results are kept."""
    known = {}

    def call():
        if kept_by is None:
            return WORK
        mark = kept_by(tensor)
        known[mark] = known.get(mark, 0) + 1
        return WORK if known[mark] <= after else REPLAY

    return call


def look(machine, tensor, call, *, calls=20):
    return look_again(machine, call, (tensor,), calls=calls, policy=DEFAULT.timing, known=lambda: PRODUCT)


MACHINES = {
    "quiet": {},
    "spikes in a third of the calls": {"share": 0.33, "spike": 30.0},
    "spikes in most calls": {"share": 0.7, "spike": 8.0},
    "threads wait ten times as long as a call takes": {"wait": 1e-2},
    "spikes and waits": {"share": 0.2, "spike": 10.0, "wait": 3e-3},
}


@pytest.mark.parametrize("load", MACHINES)
@pytest.mark.parametrize("calls", [1, 2, 20])
def test_nobody_honest_is_accused_on_any_machine(load, calls):
    tensor = torch.arange(64.0)
    for seed in range(60):
        found = look(Machine(seed, **MACHINES[load]), tensor, kernel(tensor), calls=calls)
        assert found.found != "kept", (seed, found)


@pytest.mark.parametrize("load", MACHINES)
def test_most_who_are_honest_are_cleared(load):
    tensor = torch.arange(64.0)
    told = [look(Machine(seed, **MACHINES[load]), tensor, kernel(tensor)).found for seed in range(60)]
    assert told.count("none kept") >= 55, told


def by_content(tensor):
    return tuple(tensor.tolist())


def by_version(tensor):
    return tensor._version


@pytest.mark.parametrize("load", ["quiet", "spikes in a third of the calls"])
@pytest.mark.parametrize("kept_by", [by_content, by_version])
@pytest.mark.parametrize("after", [1, 5])
def test_who_keeps_results_is_never_cleared(load, kept_by, after):
    for seed in range(40):
        tensor = torch.arange(64.0)
        machine = Machine(seed, **MACHINES[load])
        found = look(machine, tensor, kernel(tensor, kept_by=kept_by, after=after))
        assert found.found != "none kept", (seed, found)
        assert load != "quiet" or found.found == "kept"


def test_results_kept_from_one_call_to_the_next_in_a_row_are_told_by_those_calls():
    tensor, state = torch.arange(64.0), {"row": 0}

    def call():
        state["row"] += 1
        return WORK if state["row"] == 1 else REPLAY

    def timed(made, calls):
        state["row"] = 0 if calls == 1 else 1
        return Machine(0)(made, calls)

    found = look(timed, tensor, call)
    assert found.found == "kept"
    assert found.middle("later") < found.middle("seen") / 10


def test_a_device_without_a_known_product_has_no_pauses():
    tensor = torch.arange(8.0)
    found = look_again(Machine(0), kernel(tensor), (tensor,), calls=1, policy=DEFAULT.timing, known=None)
    assert (found.found, {pair.pause for pair in found.pairs}, found.middle("later")) == ("none kept", {0.0}, None)


def test_new_values_are_written_into_the_inputs_and_old_ones_are_left():
    tensor, seen = torch.arange(8.0), []

    def call():
        seen.append(tensor.tolist())
        return WORK

    look_again(Machine(0), call, (tensor,), calls=3, policy=DEFAULT.timing, known=None)
    pairs = [seen[start : start + 6] for start in range(0, len(seen), 6)]
    assert all(len({tuple(values) for values in pair}) == 1 for pair in pairs), "a call, two after it, and again"
    assert len({tuple(pair[0]) for pair in pairs}) == len(pairs)


def test_pairs_that_decide_nothing_end_where_the_policy_says():
    policy = DEFAULT.timing.model_copy(update={"second_look_pairs": 4})
    tensor = torch.arange(8.0)
    found = look_again(Machine(0), kernel(tensor), (tensor,), calls=2, policy=policy, known=None)
    assert (found.found, len(found.pairs)) == ("undecided", 4)


def test_a_first_call_slower_than_those_after_it_by_what_a_pause_costs_accuses_nobody():
    slow = [Pair(new=5e-3, seen=5e-3, later=1e-3, pause=pause) for pause in [4e-3] * 20]
    assert find_kept(slow, policy=DEFAULT.timing) == "none kept"
    assert find_kept([Pair(5e-3, 5e-3, 1e-3, 0.0)] * 20, policy=DEFAULT.timing) == "kept"
