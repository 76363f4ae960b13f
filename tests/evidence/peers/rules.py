"""When tools stop sampling, written from their published descriptions, and the interval their samples give.

None of the four claims an interval for its centre; each is granted the distribution-free 95 % interval of the median
for independent samples, which is the best that a reader of its samples can do without knowing their correlation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from harness.policy import DEFAULT, RIGOROUS, TimingPolicy
from harness.stats.samples import summarise
from harness.stats.stopping import stop
from tests.evidence.peers.streams import Stream, visits

CONFIDENCE = 0.95
# pytest-benchmark 5: --benchmark-max-time 1.0 s, --benchmark-min-rounds 5.
PYTEST_SECONDS, PYTEST_ROUNDS = 1.0, 5
# triton.testing.do_bench: rep = 100 ms of calls, at least one.
DO_BENCH_SECONDS = 0.1
# torch.utils.benchmark.Timer.blocked_autorange: min_run_time = 0.2 s.
BLOCKED_SECONDS = 0.2
# nvbench's stdrel criterion: at least 10 samples and 0.5 s; stops when the noise (standard deviation over mean) is
# below 0.5 %, or when its own estimate has settled to 5 % over a window, looked at every 16 samples; 15 s at most.
NVBENCH_SAMPLES, NVBENCH_SECONDS, NVBENCH_SECONDS_AT_MOST = 10, 0.5, 15.0
NVBENCH_NOISE, NVBENCH_SETTLED = 0.005, 0.05
NVBENCH_FIRST, NVBENCH_FROM, NVBENCH_EVERY, NVBENCH_WINDOW = 4, 64, 16, 512


@dataclass(frozen=True)
class Outcome:
    """What a rule gives for one case: its centre, its interval where there is one, and the samples it took."""

    centre: float
    low: float | None
    high: float | None
    samples: int


Rule = Callable[[Stream, float, np.random.Generator], Outcome]


def pytest_benchmark(stream: Stream, block: float, rng: np.random.Generator) -> Outcome:
    """Sample for a second, five times at least."""
    return in_one_go(stream, block, rng, samples=max(PYTEST_ROUNDS, math.ceil(PYTEST_SECONDS / block)))


def do_bench(stream: Stream, block: float, rng: np.random.Generator) -> Outcome:
    """Sample for a tenth of a second."""
    return in_one_go(stream, block, rng, samples=max(1, int(DO_BENCH_SECONDS / block)))


def blocked_autorange(stream: Stream, block: float, rng: np.random.Generator) -> Outcome:
    """Sample for a fifth of a second."""
    return in_one_go(stream, block, rng, samples=max(1, math.ceil(BLOCKED_SECONDS / block)))


def nvbench(stream: Stream, block: float, rng: np.random.Generator) -> Outcome:
    """Sample until the noise is small or known."""
    at_most = max(NVBENCH_SAMPLES, int(NVBENCH_SECONDS_AT_MOST / block))
    (blocks,) = visits(stream, count=1, length=at_most, block=block, rng=rng)
    return of_independent(blocks[: nvbench_samples(blocks, block)])


def nvbench_samples(blocks: np.ndarray, block: float) -> int:
    """Return how many of the blocks the stdrel criterion takes."""
    counts = np.arange(1, len(blocks) + 1)
    sums, squares = np.cumsum(blocks), np.cumsum(blocks**2)
    deviations = np.sqrt(np.maximum((squares - sums**2 / counts) / np.maximum(counts - 1, 1), 0))
    noise = deviations / (sums / counts)
    enough = (counts >= NVBENCH_SAMPLES) & (sums * block > NVBENCH_SECONDS)
    for count in counts[enough]:
        if noise[count - 1] < NVBENCH_NOISE:
            return int(count)
        if count - NVBENCH_FIRST > NVBENCH_FROM and count % NVBENCH_EVERY == 0:
            window = noise[max(NVBENCH_FIRST, count - NVBENCH_WINDOW) : count]
            if window.std(ddof=1) < NVBENCH_SETTLED * window.mean():
                return int(count)
    return len(blocks)


def ours(stream: Stream, block: float, rng: np.random.Generator, *, policy: TimingPolicy = DEFAULT.timing) -> Outcome:
    """Visit the case in rounds until its interval is narrow enough at a look, or the rounds are used up."""
    drawn = visits(stream, count=policy.rounds_at_most, length=policy.blocks_per_round, block=block, rng=rng)
    rounds = [visit.tolist() for visit in drawn]
    taken = next(
        count for count in range(1, len(rounds) + 1) if stop(rounds[:count], policy=policy, seconds_left=math.inf)
    )
    summary = summarise(rounds[:taken], policy=policy)
    return Outcome(summary.median, summary.low, summary.high, taken * policy.blocks_per_round)


RULES: dict[str, Rule] = {
    "pytest-benchmark": pytest_benchmark,
    "triton do_bench": do_bench,
    "torch blocked_autorange": blocked_autorange,
    "nvbench stdrel": nvbench,
    "attnbench": ours,
    "attnbench --rigorous": functools.partial(ours, policy=RIGOROUS.timing),
}


def in_one_go(stream: Stream, block: float, rng: np.random.Generator, *, samples: int) -> Outcome:
    """Sample back to back."""
    (blocks,) = visits(stream, count=1, length=samples, block=block, rng=rng)
    return of_independent(blocks)


def of_independent(blocks: np.ndarray) -> Outcome:
    """Return the median with its exact binomial interval; fewer than six samples have none."""
    count = len(blocks)
    ordered = np.sort(blocks)
    rank = int(binom.ppf((1 - CONFIDENCE) / 2, count, 0.5))
    while rank > 0 and binom.cdf(rank - 1, count, 0.5) > (1 - CONFIDENCE) / 2:
        rank -= 1
    centre = float(np.median(ordered))
    if rank < 1:
        return Outcome(centre, None, None, count)
    return Outcome(centre, float(ordered[rank - 1]), float(ordered[count - rank]), count)
