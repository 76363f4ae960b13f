"""What travels between a coordinator and its workers: orders, what comes of them, and what a worker says of itself."""

from __future__ import annotations

import dataclasses
import itertools
import re
import shutil
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue

from harness.machine.processor import core_ranges
from harness.policy import Policy
from harness.records import SCHEMA, DataModel, Record
from harness.results.plan_file import Plan, Scenario
from harness.runner.selection import Request, Selection, TimeLimits
from impls.discovery import helpers

# The chunk that is no chunk: the order to make the plan of a class.
PLANNING = "plan"


class Kernel(DataModel):
    """A file that registers implementations, with the files beside it that it imports, by their path from its folder.

    `path` is where it lies for who gave the order.
    """

    path: str
    files: dict[str, str]


class Asked(DataModel):
    """What a run is asked for, as it travels to who makes the plan; the device is the worker's."""

    scenarios: list[Scenario]
    selection: dict[str, JsonValue]
    policy: Policy
    preset: Literal["fast", "default", "rigorous"]
    threads: int | None
    keep_memory: bool
    baseline: str | None
    seed: int
    command: list[str]

    @classmethod
    def of(cls, request: Request) -> Asked:
        """Take what travels from a request."""
        selection = dataclasses.asdict(request.selection)
        selection["shard"] = list(request.selection.shard)
        return cls(
            scenarios=list(request.scenarios),
            selection={name: list(value) if isinstance(value, tuple) else value for name, value in selection.items()},
            policy=request.policy,
            preset=request.preset,
            threads=request.threads,
            keep_memory=request.keep_memory,
            baseline=request.baseline,
            seed=request.seed,
            command=list(request.command),
        )

    def request(self, *, device: str, impl_files: tuple[str, ...]) -> Request:
        """Return the request on a device, with kernels as they lie there."""
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in self.selection.items()}
        return Request(
            scenarios=tuple(self.scenarios),
            selection=Selection(**given),  # type: ignore[arg-type]  # dumped from one
            device=device,
            policy=self.policy,
            preset=self.preset,
            impl_files=impl_files,
            threads=self.threads,
            keep_memory=self.keep_memory,
            baseline=self.baseline,
            seed=self.seed,
            command=tuple(self.command),
        )


class Limits(DataModel):
    """How long a chunk may take, in seconds, and what else of it is asked for; see `TimeLimits`."""

    timeout: float | None = None
    budget: float | None = None
    sustain: bool = False
    fresh_memory: bool = False
    fresh_ceilings: bool = False

    @classmethod
    def of(cls, limits: TimeLimits, *, budget: float | None) -> Limits:
        """Take the limits of a run, with the budget of a chunk."""
        return cls(
            timeout=limits.timeout,
            budget=budget,
            sustain=limits.sustain,
            fresh_memory=limits.fresh_memory,
            fresh_ceilings=limits.fresh_ceilings,
        )

    def time_limits(self) -> TimeLimits:
        """Return them as a run takes them."""
        return TimeLimits(**self.model_dump())


class Order(DataModel):
    """One attempt at a chunk for a worker of the class `on`, or at the plan of that class.

    `asked` is there to plan, `plan` to measure. `seconds` is what it is predicted to take.
    """

    schema_version: str = Field(default=SCHEMA, alias="schema")
    chunk: str
    on: str
    seconds: float = 0.0
    attempt: int = 1
    fingerprint: dict[str, JsonValue]
    kernels: list[Kernel] = Field(default_factory=list)
    limits: Limits = Limits()
    asked: Asked | None = None
    plan: Plan | None = None

    model_config = Record.model_config

    @property
    def name(self) -> str:
        """Return what tells an order from the others of its sweep."""
        return f"{self.on}-{self.chunk}"


class Answer(DataModel):
    """What came of an attempt, its files aside.

    `part`: it was taken to its end; `held`: another run holds the device; `refused`: the worker has other code or
    kernels; `mistake`: what was asked for can't be, on no worker; `failed`: anything else, worth another attempt.
    """

    kind: Literal["part", "held", "refused", "mistake", "failed"]
    reason: str = ""


class Announcement(DataModel):
    """What a worker says of itself before it gets any order: its class and device, where it is, and its code."""

    on: str
    device: str
    uuid: str = ""
    model: str = ""
    host: str
    cores: list[int] = Field(default_factory=list)
    process: int
    fingerprint: dict[str, JsonValue]

    @property
    def place(self) -> str:
        """Return how messages call the worker: its host and device."""
        return f"{self.host} {self.uuid or self.device}{'' if not self.cores else ' cores ' + core_ranges(self.cores)}"


class Stage(DataModel):
    """Where a chunk is: the phase it is in, the share of the phase that is done, and the case it was at last."""

    phase: str = "starting"
    share: float = 0.0
    line: str = ""


def kernels_of(files: tuple[str, ...]) -> list[Kernel]:
    """Read the files that register implementations, with those beside them that they import."""
    found = []
    for name in files:
        main = Path(name).resolve()
        beside = {str(file.relative_to(main.parent)): file.read_text(encoding="utf-8") for file in helpers(main)}
        found.append(Kernel(path=str(main), files={main.name: main.read_text(encoding="utf-8"), **beside}))
    return found


def laid_out(kernels: list[Kernel], folder: Path) -> tuple[str, ...]:
    """Write kernels below a folder, each apart from the others and from any before; return where they lie.

    Raises ValueError.
    """
    # A module that lies there for others must not be found.
    shutil.rmtree(folder, ignore_errors=True)
    paths = []
    for number, kernel in enumerate(kernels):
        place = folder / str(number)
        for name, text in kernel.files.items():
            file = place / name
            if not file.resolve().is_relative_to(place.resolve()):
                raise ValueError(f"a kernel's file {name!r} lies outside its folder")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        paths.append(str((place / Path(kernel.path).name).resolve()))
    return tuple(paths)


def class_of(model: str) -> str:
    """Return the class of a GPU by its model's name, as `--on` takes it: h100 of `NVIDIA H100 80GB HBM3`.

    It is the first word with a figure in it that is no size, else a number with the word before it, else the whole
    name; a part of a GPU has its profile after it.
    """
    name, _, profile = model.lower().partition(" mig ")
    words = re.findall(r"[a-z0-9]+", name)
    sizes = re.compile(r"\d+(gb|g)?")
    numbered = [word for word in words if re.search(r"\d", word) and not sizes.fullmatch(word)]
    pairs = [f"{before}{word}" for before, word in itertools.pairwise(words) if re.fullmatch(r"\d{3,}", word)]
    found = (numbered or pairs or ["-".join(words) or "gpu"])[0]
    return f"{found}-{profile.strip()}" if profile else found
