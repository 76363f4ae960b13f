"""Options as they are typed become what the harness takes: scenarios, selections, policies, times."""

from __future__ import annotations

import datetime as dt
import itertools
import re
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from attnbench.console import warn
from impls.registry import unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attnbench.options import Cases, Effort, Place
    from harness.policy import Policy
    from harness.runner.selection import Request, Selection, TimeLimits
    from harness.runner.supervisor import WorkerSettings
    from scenarios.scenario import Scenario

Preset = Literal["fast", "default", "rigorous"]
SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def find_scenarios(names: Sequence[str] | None) -> tuple[Scenario, ...]:
    """Find scenarios by name or path, each once; the default set if none is named. Raises ScenarioError."""
    from scenarios import catalog

    scenarios = tuple(catalog.find(name) for name in dict.fromkeys(names or catalog.DEFAULT))
    twice = [name for name, count in Counter(scenario.name for scenario in scenarios).items() if count > 1]
    if twice:
        raise catalog.ScenarioError(f"several scenarios are named {', '.join(twice)}: rename a file")
    return scenarios


def make_selection(cases: Cases) -> Selection:
    """Read the options that restrict a plan. Raises ScenarioError, SelectionError."""
    from harness.runner import selection
    from scenarios import catalog, scenario

    of_points, of_options = split_axes(cases.axis or ())
    axes = catalog.parse_axes(of_points)
    check_dtypes(cases.dtype)
    check_known("direction", cases.direction, get_args(scenario.Direction))
    check_known("cache", cases.cache, get_args(scenario.Cache))
    check_known("axis", axes, scenario.AXIS_NAMES)
    return selection.Selection(
        implementations=tuple(cases.impl or ()),
        variants=variant_patterns(of_options),
        axes=axes,
        dtypes=tuple(cases.dtype or ()),
        directions=tuple(cases.direction or ()),
        caches=tuple(cases.cache or ()),
        keyword=cases.keyword,
        shard=selection.parse_shard(cases.shard),
    )


def split_axes(texts: Iterable[str]) -> tuple[list[str], list[str]]:
    """Tell the axes of points, `n=512`, from options of implementations, `online.block=64`."""
    given = list(texts)
    of_options = [text for text in given if "." in text.partition("=")[0]]
    return [text for text in given if text not in of_options], of_options


def variant_patterns(texts: Iterable[str]) -> tuple[str, ...]:
    """Return patterns of the variants that options choose, `online:block=64`: every combination of an implementation's.

    Raises ScenarioError for values that can't be read.
    """
    from impls.variants import variant_name
    from scenarios import catalog

    chosen: dict[str, dict[str, list[str]]] = {}
    for text in texts:
        name, _, option = text.partition("=")[0].rpartition(".")
        _, values = catalog.parse_axis(text.removeprefix(f"{name}."))
        chosen.setdefault(name, {})[option.partition("[")[0]] = [str(value) for value in values]
    return tuple(
        variant_name(name, dict(zip(options, values, strict=True)))
        for name, options in chosen.items()
        for values in itertools.product(*options.values())
    )


def check_dtypes(dtypes: Iterable[str] | None) -> None:
    """Refuse a dtype that no scenario has. Raises SelectionError."""
    from scenarios.scenario import Dtype

    check_known("dtype", dtypes, get_args(Dtype))


def check_known(kind: str, given: Iterable[str] | None, known: Sequence[str]) -> None:
    """Refuse a value that is none of the known ones, naming these. Raises SelectionError."""
    from harness.runner.selection import SelectionError

    for value in given or ():
        if value not in known:
            raise SelectionError(unknown(kind, value, known))


def make_policy(effort: Effort) -> tuple[Preset, Policy]:
    """Choose the policy of a run. Raises SelectionError."""
    from harness import policy
    from harness.runner.selection import SelectionError

    if effort.fast and effort.rigorous:
        raise SelectionError("--fast and --rigorous exclude each other")
    preset: Preset = "fast" if effort.fast else "rigorous" if effort.rigorous else "default"
    chosen = {"fast": policy.FAST, "default": policy.DEFAULT, "rigorous": policy.RIGOROUS}[preset]
    if effort.precision is not None:
        timing = chosen.timing.model_copy(update={"precision": parse_share(effort.precision)})
        chosen = chosen.model_copy(update={"timing": timing})
    return preset, chosen


def parse_share(text: str) -> float:
    """Read `1%` or `0.01`. Raises SelectionError."""
    from harness.runner.selection import SelectionError

    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1.0:
        raise SelectionError(f"precision {text!r} must read 1% or 0.01")
    return value


def parse_duration(text: str | None) -> float | None:
    """Read `90`, `90s`, `10m` or `1h` as seconds. Raises SelectionError."""
    from harness.runner.selection import SelectionError

    if text is None:
        return None
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    value = float(parts[1]) * SECONDS[parts[2]] if parts else 0.0
    if value <= 0.0:
        raise SelectionError(f"duration {text!r} must read 90, 90s, 10m or 1h")
    return value


def default_output() -> Path:
    """Name a new run directory under runs/ by the time."""
    stamp = dt.datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    candidates = [Path("runs") / (stamp if number == 0 else f"{stamp}-{number}") for number in range(100)]
    return next(path for path in candidates if not path.exists())


def make_request(cases: Cases, place: Place, *, device: str | None = None) -> Request:
    """Read the options that say what is measured and where, under the default policy; `device` needs not be here.

    Raises ScenarioError, SelectionError, DeviceError.
    """
    from harness import policy
    from harness.machine import devices
    from harness.runner.selection import Request, SelectionError

    for file in cases.impl_file or ():
        if not Path(file).is_file():
            raise SelectionError(f"--impl-file {file}: no such file")
    return Request(
        scenarios=find_scenarios(cases.scenarios),
        selection=make_selection(cases),
        device=device or devices.choose(place.device, tell=warn),
        policy=policy.DEFAULT,
        impl_files=tuple(cases.impl_file or ()),
        threads=place.threads,
    )


def make_run_request(cases: Cases, place: Place, effort: Effort, *, device: str | None = None) -> Request:
    """Read the options of a run, its time limits aside; `device` needs not be here.

    Raises ScenarioError, SelectionError, DeviceError.
    """
    request = make_request(cases, place, device=device)
    if [scenario.name for scenario in request.scenarios] == ["smoke"] and not effort.rigorous:
        # Whether everything works shows in few rounds.
        effort = replace(effort, fast=True)
    preset, policy = make_policy(effort)
    return replace(
        request,
        policy=policy,
        preset=preset,
        keep_memory=effort.allocator == "keep",
        baseline=effort.baseline,
        seed=effort.seed,
        command=("attnbench", *sys.argv[1:]),
    )


def make_time_limits(effort: Effort, *, started: float | None = None) -> TimeLimits:
    """Read how long a run may take that was `started` at this moment of the monotonic clock. Raises SelectionError."""
    from harness.runner.selection import TimeLimits

    return TimeLimits(
        timeout=parse_duration(effort.timeout),
        budget=parse_duration(effort.time_budget),
        started=started,
        sustain=effort.sustain,
        fresh_memory=effort.fresh_memory,
        fresh_ceilings=effort.ceilings == "fresh",
    )


def make_worker_settings(device: str | None, impl_files: Sequence[str] | None) -> WorkerSettings:
    """Return the settings of workers that measure no scenario. Raises DeviceError."""
    from harness import policy
    from harness.machine import devices
    from harness.runner.supervisor import WorkerSettings

    return WorkerSettings(
        device=devices.choose(device, tell=warn), policy=policy.DEFAULT, impl_files=tuple(impl_files or ())
    )
