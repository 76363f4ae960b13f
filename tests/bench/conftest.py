"""pytest-benchmark over the registry: which cases there are, and benchmarks only where they were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import pytest
import torch

from impls import contract, discovery, registry
from scenarios import catalog


@dataclass(frozen=True)
class BenchCase:
    """One implementation at one point of a scenario, in a dtype on a device; `skip` tells why it can't run."""

    implementation: contract.Implementation
    problem: str
    point: dict[str, Any]
    dtype: str
    device: str
    direction: str
    skip: str = ""

    @property
    def id(self):
        """Name the case in words that `-k` takes."""
        point = "-".join(f"{name}{value}" for name, value in self.point.items())
        return f"{self.implementation.name}-{point}-{self.dtype}-{self.direction}-{self.device}"


def pytest_addoption(parser):
    group = parser.getgroup("attnbench")
    group.addoption("--scenario", action="append", help="a scenario's name or TOML file; default: smoke")
    group.addoption("--attnbench-device", help="cpu or cuda; default: the best there is")


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        found = list(cases(metafunc.config))
        metafunc.parametrize("case", found, ids=[case.id for case in found])


@pytest.fixture
def benchmark(benchmark, request):
    """Call once, untimed, unless benchmarks were asked for: the test session is for right and wrong."""
    if not (request.config.getoption("benchmark_only") or request.config.getoption("benchmark_enable")):
        benchmark.disabled = True
    return benchmark


def cases(config):
    """Expand the scenarios over every implementation that is registered for their problem."""
    # Given only where this folder is named on the command line.
    scenarios = config.getoption("--scenario", default=None) or ["smoke"]
    discovery.discover(impl_files=config.getoption("--impl-file"))
    device = config.getoption("--attnbench-device", default=None) or ("cuda" if torch.cuda.is_available() else "cpu")
    for name in scenarios:
        scenario = catalog.find(name).on_device(device)
        for point in scenario.points()[0]:
            for dtype in scenario.dtypes:
                for direction in scenario.directions:
                    for wanted in filter(included(scenario), registry.names(scenario.problem)):
                        own = scenario.point_for(point, implementation=wanted)
                        yield make(scenario.problem, wanted, own, dtype=dtype, device=device, direction=direction)


def included(scenario):
    """Return a test of names: does the scenario want this implementation?"""
    asked_for = {entry.name for entry in registry.REGISTRY.entries.values() if entry.on_request}
    return lambda name: (
        (name in scenario.implementations or name not in asked_for)
        and any(fnmatch(name, pattern) for pattern in scenario.implementations)
        and not any(fnmatch(name, pattern) for pattern in scenario.exclude)
    )


def make(problem, name, point, *, dtype, device, direction):
    """Build a case, with the reason where the implementation's limits exclude it."""
    implementation = registry.get(problem, name)
    limits = implementation.limits_on(device)
    module = registry.problem(problem)
    if limits is None:
        skip = f"{name} does not run on {device}"
    elif dtype not in limits.dtypes:
        skip = f"{name} takes {', '.join(limits.dtypes)}, not {dtype}"
    else:
        lacks = module.features(module.parse(point), direction=direction) - limits.supports
        skip = f"{name} lacks {', '.join(sorted(lacks))}" if lacks else ""
    return BenchCase(implementation, problem, point, dtype, device, direction, skip)
