"""Rounds visit every call in turn, in an order of their own, and stop for each when it is done."""

from __future__ import annotations

import functools
import itertools

import torch

from harness.instruments import rounds, timing
from harness.policy import TimingPolicy

POLICY = TimingPolicy(
    block_seconds_cpu=1e-6, warm_up_calls=1, warm_up_seconds=0.0, rounds_at_most=6, blocks_per_round=2
)
CPU = torch.device("cpu")


def recorded(groups, *, seed=3, **options):
    """Interleave calls that write down their names; return what was written, and the samples by name."""
    seen = []
    calls = {group: {name: functools.partial(seen.append, name) for name in group} for group in groups}
    found = rounds.interleave(calls, device=CPU, policy=POLICY, seed=seed, **options)
    return seen, {name: samples for of_one in found.values() for name, samples in of_one.items()}


def visited(seen, count):
    """List the names in order of their last `count` visits."""
    return [name for name, _ in itertools.groupby(seen)][-count:]


def test_every_call_gets_every_round_and_every_block():
    _, found = recorded(["ab", "c"])
    for samples in found.values():
        assert [len(visit) for visit in samples.rounds] == [2] * 6
        assert [len(visit) for visit in samples.canary] == [2] * 6
        assert samples.median > 0


def test_the_calls_of_a_group_stay_together():
    for seed in range(8):
        seen, _ = recorded(["ab", "cd"], seed=seed, rounds=1)
        last = "".join(visited(seen, 4))
        assert set(last[:2]) in ({"a", "b"}, {"c", "d"})


def test_the_order_is_drawn_anew():
    orders = {"".join(visited(recorded(["ab", "cd"], seed=seed, rounds=1)[0], 4)) for seed in range(20)}
    assert len(orders) > 4


def test_a_call_that_is_done_is_left_alone():
    _, found = recorded(["a"], is_done=lambda samples: len(samples.rounds) >= 2)
    assert len(found["a"].rounds) == 2


def test_beside_each_block_stands_the_slower_of_the_canaries_around_it():
    class Canary:
        readings = iter([3.0, 1.0, 2.0, 1.5])

        def seconds(self):
            return next(self.readings)

    def timed(call, calls):
        return timing.Block(seconds=float(call()), host=0.0, calls=calls)

    numbers = itertools.count()
    blocks, beside = rounds.take_blocks(timed, lambda: next(numbers), calls=7, count=3, canary=Canary())
    assert [(block.seconds, block.calls) for block in blocks] == [(0.0, 7), (1.0, 7), (2.0, 7)]
    assert beside == [3.0, 2.0, 2.0]
    assert rounds.take_blocks(timed, lambda: 0, calls=1, count=2, canary=None)[1] == []


def test_a_device_is_looked_at_while_the_last_block_keeps_it_busy():
    looks, given = [], []

    def timed(call, calls, *, meanwhile=None):
        given.append(meanwhile)
        if meanwhile:
            meanwhile()
        return timing.Block(seconds=1.0, host=1.0, calls=calls)

    rounds.take_blocks(timed, lambda: 0, calls=2, count=3, canary=None, meanwhile=lambda: looks.append(len(given)))
    assert looks == [3]
    assert given[:2] == [None, None]
