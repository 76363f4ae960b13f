"""The doctor's A/A test: how small a difference this machine can show."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from harness.machine import processor
from harness.policy import RIGOROUS, Policy
from harness.records import DataModel
from harness.stats.comparison import compare, round_ratios

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch

    from harness.instruments.rounds import Samples


# Of the registered implementations, three that differ in what they spend time on, and sizes either side of the caches.
SELF_TEST_IMPLEMENTATIONS = ("batched", "online", "sdpa-auto")
QUICK_LENGTHS = (128, 512)
FULL_LENGTHS = (64, 96, 128, 192, 256, 384, 512, 640, 768, 1024)
FULL_HEADS = (1, 2)
QUICK_HEADS = (2,)
COPIES = ("first", "second")


class SelfTest(DataModel):
    """The A/A test: one function timed under two names. `noise_floor` holds 95 % of the differences of their medians.

    `ratios` are the medians' ratios by case; `contaminated` is the share of blocks with a slow canary beside them;
    `called_different` is, by preset, the share of cases whose copies the comparison calls different: false alarms.
    """

    ratios: dict[str, float]
    noise_floor: float
    centre: float
    contaminated: float | None = None
    steal_share: float | None = None
    called_different: dict[str, float] = Field(default_factory=dict)
    seconds: float


@dataclass(frozen=True)
class SameCode:
    """The samples of one call under two names."""

    first: Samples
    second: Samples

    @property
    def ratio(self) -> float:
        """Return the ratio of the two medians; a machine without noise gives 1."""
        return self.first.median / self.second.median

    @property
    def round_ratios(self) -> list[float]:
        """Return the log ratios of the two by round."""
        return round_ratios(self.first.rounds, self.second.rounds)


def self_test(*, device: str, policy: Policy, is_full: bool, seed: int) -> SelfTest:
    """Time each call under two names, interleaved in shuffled rounds as a run does, and compare the two.

    The full test has many cases, and says how often the comparison calls copies different: from this process alone, as
    a default run, and from several new ones, as a rigorous run.
    """
    started, ticks = time.perf_counter(), processor.cpu_ticks() or (0, 0)
    twins = time_twins(device, policy=policy, rounds=policy.timing.rounds_at_least, is_full=is_full, seed=seed)
    called = {}
    if is_full:
        called["default"] = called_different({name: [pair.round_ratios] for name, pair in twins.items()}, policy=policy)
        called["rigorous"] = called_different(rigorous_ratios(device, seed=seed), policy=RIGOROUS)
    seconds = time.perf_counter() - started
    steal = processor.steal_share(since=ticks)
    tested = conclude(twins, policy=policy, seconds=seconds, steal=steal)
    return tested.model_copy(update={"called_different": called})


def time_twins(device: str, *, policy: Policy, rounds: int, is_full: bool, seed: int) -> dict[str, SameCode]:
    """Time every call of the test under two names."""
    import torch

    from harness.instruments.rounds import interleave

    target = torch.device(device)
    with torch.no_grad():
        calls = make_calls(target, is_full=is_full, seed=seed)
        groups = {name: dict.fromkeys(COPIES, call) for name, call in calls.items()}
        found = interleave(groups, device=target, policy=policy.timing, seed=seed, rounds=rounds)
    return {name: SameCode(*(copies[copy] for copy in COPIES)) for name, copies in found.items()}


def rigorous_ratios(device: str, *, seed: int) -> dict[str, list[list[float]]]:
    """Return the copies' round ratios by case, a list for each of several new processes, one after the other."""
    import torch

    count = RIGOROUS.timing.processes
    rounds = max(2, RIGOROUS.timing.rounds_at_least // count)
    by_process = []
    for process in range(count):
        # A process of its own each: what differs between processes is what is asked for.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            found = pool.submit(ratios_in_new_process, device, torch.get_num_threads(), rounds, seed + 1 + process)
            by_process.append(found.result())
    return {name: [ratios[name] for ratios in by_process] for name in by_process[0]}


def ratios_in_new_process(device: str, threads: int, rounds: int, seed: int) -> dict[str, list[float]]:
    """Time the full test's calls and return the copies' round ratios by case."""
    import torch

    torch.set_num_threads(threads)
    twins = time_twins(device, policy=RIGOROUS, rounds=rounds, is_full=True, seed=seed)
    return {name: pair.round_ratios for name, pair in twins.items()}


def called_different(ratios: Mapping[str, Sequence[Sequence[float]]], *, policy: Policy) -> float:
    """Return the share of cases whose copies the comparison calls different; none of them is."""
    found = compare(ratios, policy=policy.comparison)
    return sum(one.outcome in {"faster", "slower"} for one in found.values()) / len(found)


def make_calls(device: torch.device, *, is_full: bool, seed: int) -> dict[str, Callable[[], Any]]:
    """Prepare the calls: registered implementations of attention at several sizes."""
    import torch

    from impls import discovery, registry

    discovery.discover()
    problem = registry.problem("attention")
    lengths, heads = (FULL_LENGTHS, FULL_HEADS) if is_full else (QUICK_LENGTHS, QUICK_HEADS)
    calls = {}
    for head_count, n in itertools.product(heads, lengths):
        point = problem.parse({"n": n, "d": 64, "heads": head_count})
        inputs = problem.inputs(point, dtype=torch.float32, device=device, seed=seed)
        for name in SELF_TEST_IMPLEMENTATIONS:
            calls[f"{name} n={n} heads={head_count}"] = problem.bind(registry.get("attention", name), inputs)
    return calls


def conclude(twins: dict[str, SameCode], *, policy: Policy, seconds: float, steal: float | None = None) -> SelfTest:
    """Conclude from the samples of all twins."""
    ratios = {name: pair.ratio for name, pair in twins.items()}
    visits = [visit for pair in twins.values() for samples in (pair.first, pair.second) for visit in samples.canary]
    canary = [reading for visit in visits for reading in visit]
    return SelfTest(
        ratios=ratios,
        noise_floor=noise_floor(list(ratios.values())),
        centre=statistics.median(ratios.values()),
        contaminated=_slow_share(canary, tolerance=policy.timing.canary_tolerance),
        steal_share=steal,
        seconds=seconds,
    )


def noise_floor(ratios: list[float]) -> float:
    """Return the difference that 95 % of the ratios stay within; with few of them, the largest."""
    differences = sorted(abs(math.log(ratio)) for ratio in ratios)
    return math.expm1(differences[math.ceil(0.95 * len(differences)) - 1])


def _slow_share(canary: list[float], *, tolerance: float) -> float | None:
    """Return the share of canary readings over the tolerance times their own fifth percentile."""
    if not canary:
        return None
    floor = sorted(canary)[len(canary) // 20]
    return sum(reading > tolerance * floor for reading in canary) / len(canary)
