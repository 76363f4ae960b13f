"""The tools that time a call: ours and others', each as its users run it, with the samples it took."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from harness.instruments import rounds
from harness.stats.samples import summarise
from harness.stats.stopping import stop
from tests.evidence.peers.rules import of_independent
from tests.support.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.policy import Policy

OURS = "attnbench"


@dataclass(frozen=True)
class Timed:
    """What a tool says of one case: seconds per call, its interval where it has one, and the wall time it took."""

    centre: float
    low: float | None
    high: float | None
    wall: float

    @classmethod
    def from_samples(cls, samples, *, wall):
        """Build from another tool's samples, granting it the interval of the median for independent samples."""
        import numpy as np

        found = of_independent(np.asarray(samples))
        return cls(found.centre, found.low, found.high, wall)


@dataclass(frozen=True)
class Case:
    """A call to time: implementation, point and dtype, so that another process can build it again."""

    implementation: str
    point: Mapping[str, int]
    dtype: str
    device: str
    call: Callable[[], object] = field(compare=False, repr=False)
    # Entered around whatever times the call, as attnbench does.
    within: Callable[[], AbstractContextManager[object]] = field(default=nullcontext, compare=False, repr=False)

    @property
    def name(self):
        """Name the case in a table."""
        return f"{self.implementation} " + " ".join(f"{axis}={size}" for axis, size in self.point.items())

    @property
    def synchronized(self):
        """Return the call with a wait for the device at its end, for tools that know nothing of devices."""
        if self.device != "cuda":
            return self.call

        def call():
            self.call()
            torch.cuda.synchronize()

        return call


def attnbench(cases, *, policy: Policy, seed):
    """Measure all cases in shared rounds, each until it is precise enough; the wall time is shared out equally."""
    began = time.perf_counter()
    found = rounds.interleave(
        {case.name: {OURS: case.call} for case in cases},
        device=torch.device(cases[0].device),
        policy=policy.timing,
        seed=seed,
        is_done=lambda samples: stop(samples.rounds, policy=policy.timing) is not None,
    )
    wall = time.perf_counter() - began
    summaries = {name: summarise(of_case[OURS].rounds, policy=policy.timing) for name, of_case in found.items()}
    return {name: Timed(one.median, one.low, one.high, wall / len(cases)) for name, one in summaries.items()}


def blocked_autorange(case):
    """Use torch.utils.benchmark; it would take one thread if it were not told."""
    from torch.utils import benchmark

    timer = benchmark.Timer(stmt="call()", globals={"call": case.call}, num_threads=torch.get_num_threads())
    began = time.perf_counter()
    measured = timer.blocked_autorange()
    return Timed.from_samples(measured.times, wall=time.perf_counter() - began)


def pytest_benchmark(case):
    """Use pytest-benchmark's own fixture with its default options."""
    from pytest_benchmark.fixture import BenchmarkFixture
    from pytest_benchmark.utils import NameWrapper

    class Node:
        name = nodeid = case.name

    fixture = BenchmarkFixture(
        Node(),
        disable_gc=False,
        timer=NameWrapper(time.perf_counter),
        min_rounds=5,
        min_time=0.000005,
        max_time=1.0,
        precision=None,
        confidence=None,
        warmup=False,
        warmup_iterations=100000,
        calibration_precision=10,
        add_stats=lambda _stats: None,
        logger=Quiet(),
        warner=None,
        disabled=False,
        cprofile=None,
        cprofile_loops=None,
        cprofile_dump=None,
    )
    began = time.perf_counter()
    fixture(case.synchronized)
    samples = [seconds / fixture.stats.iterations for seconds in fixture.stats.stats.data]
    return Timed.from_samples(samples, wall=time.perf_counter() - began)


class Quiet:
    """Swallow what pytest-benchmark logs to pytest's terminal."""

    def debug(self, *_arguments, **_options):
        """Say nothing."""

    info = warning = error = debug


def do_bench(case):
    """Use triton's do_bench with its default options, all samples kept."""
    from triton.testing import do_bench as triton_do_bench

    began = time.perf_counter()
    milliseconds = triton_do_bench(case.call, return_mode="all")
    return Timed.from_samples([each / 1000 for each in milliseconds], wall=time.perf_counter() - began)


def nvbench(case):
    """Use nvbench's Python package in a process of its own, as it keeps its benchmarks in global state."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        described = json.dumps({"implementation": case.implementation, "point": dict(case.point), "dtype": case.dtype})
        command = [sys.executable, "-m", "tests.evidence.peers.nvbench_process", described, "--json", str(out)]
        began = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        wall = time.perf_counter() - began
        return read_nvbench(json.loads(out.read_text(encoding="utf-8")), wall=wall)


def read_nvbench(document, *, wall):
    """Read the one state of an nvbench result: mean GPU time of cold launches, with no samples beside it."""
    (state,) = document["benchmarks"][0]["states"]
    summaries = {summary["tag"]: summary for summary in state["summaries"]}
    found = summaries["nv/cold/time/gpu/mean"]["data"]
    value = next(float(entry["value"]) for entry in found if entry["name"] == "value")
    return Timed(value, None, None, wall)


@dataclass(frozen=True)
class Tool:
    """A tool that times one case at a time, and where it runs."""

    name: str
    time: Callable[[Case], Timed]
    package: str
    devices: tuple[str, ...] = ("cpu", "cuda")

    def absent(self, device):
        """Say why it does not run here; empty where it does."""
        if device not in self.devices:
            return f"runs on {', '.join(self.devices)} only"
        try:
            missing = importlib.util.find_spec(self.package) is None
        except ModuleNotFoundError:
            missing = True
        return f"the package {self.package} is not installed" if missing else ""


PEERS = (
    Tool("torch blocked_autorange", blocked_autorange, "torch"),
    Tool("pytest-benchmark", pytest_benchmark, "pytest_benchmark"),
    Tool("triton do_bench", do_bench, "triton", devices=("cuda",)),
    Tool("nvbench", nvbench, "cuda.bench", devices=("cuda",)),
)
