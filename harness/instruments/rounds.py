"""Rounds in this process: several calls timed in turn, in an order drawn anew each round, as a run times its cases."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.instruments import timing
from harness.stats.blocks import blocks_for, calls_per_block, warm_up

if TYPE_CHECKING:
    import torch

    from harness.policy import TimingPolicy


Call = Callable[[], Any]
# Times a block of so many calls of a function.
Timed = Callable[..., timing.Block]


@dataclass
class Samples:
    """The samples of one call, seconds per call, a list per round, and the canary's seconds beside each sample."""

    calls: int = 1
    blocks: int = 1
    rounds: list[list[float]] = field(default_factory=list)
    canary: list[list[float]] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Return the median of all samples."""
        return statistics.median(sample for visit in self.rounds for sample in visit)


def interleave(
    groups: Mapping[str, Mapping[str, Call]],
    *,
    device: torch.device,
    policy: TimingPolicy,
    seed: int,
    rounds: int | None = None,
    is_done: Callable[[Samples], bool] | None = None,
) -> dict[str, dict[str, Samples]]:
    """Warm up every call, then time them in rounds until each is done, or for `rounds_at_most` rounds.

    Groups come in shuffled order, the calls of a group next to each other, so that they meet the same moment. `rounds`
    replaces `rounds_at_most`. Whether gradients are recorded is the caller's affair.
    """
    clock = timing.clock_for(device, cold=False)
    canary = timing.Canary(policy.canary_size) if device.type == "cpu" else None
    order = random.Random(seed)
    with timing.quiet_collector():
        samples = {
            group: {name: calibrate(call, clock=clock, device=device, policy=policy) for name, call in calls.items()}
            for group, calls in groups.items()
        }
        for _ in range(rounds or policy.rounds_at_most):
            for group in order.sample(list(groups), len(groups)):
                for name in order.sample(list(groups[group]), len(groups[group])):
                    if is_done is None or not is_done(samples[group][name]):
                        visit(groups[group][name], samples[group][name], clock=clock, canary=canary)
    return samples


def calibrate(call: Call, *, clock: timing.Clock, device: torch.device, policy: TimingPolicy) -> Samples:
    """Warm a call up, and choose how many calls make a block and how many blocks a visit."""
    passing = None if device.type == "cpu" else time.perf_counter
    warm = warm_up(lambda: clock.block(call, 1).seconds, policy=policy, clock=passing)
    seconds = statistics.median(warm[len(warm) // 2 :])
    target = policy.block_seconds_cuda if device.type == "cuda" else policy.block_seconds_cpu
    return Samples(
        calls=calls_per_block(seconds, target=target, at_most=policy.calls_per_block_at_most),
        blocks=blocks_for(seconds, policy=policy),
    )


def visit(call: Call, samples: Samples, *, clock: timing.Clock, canary: timing.Canary | None) -> None:
    """Add one round: a call to bring inputs and code back into the caches, then the blocks with canaries between."""
    clock.block(call, 1)
    blocks, beside = take_blocks(clock.block, call, calls=samples.calls, count=samples.blocks, canary=canary)
    samples.rounds.append([block.seconds for block in blocks])
    samples.canary.append(beside)


def take_blocks(
    timed: Timed,
    call: Call,
    *,
    calls: int,
    count: int,
    canary: timing.Canary | None,
    meanwhile: timing.Meanwhile = None,
) -> tuple[list[timing.Block], list[float]]:
    """Time `count` blocks, each with a canary on either side; return the blocks, and the slower canary beside each.

    A device without a canary has none beside its blocks. `meanwhile` is called while the last block keeps the device
    busy.
    """
    blocks: list[timing.Block] = []
    beside: list[float] = []
    before = canary.seconds() if canary else 0.0
    for number in range(count):
        is_last = number == count - 1
        blocks.append(timed(call, calls, meanwhile=meanwhile) if meanwhile and is_last else timed(call, calls))
        if canary:
            previous, before = before, canary.seconds()
            beside.append(max(previous, before))
    return blocks, beside
