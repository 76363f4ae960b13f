"""The options of the command line, each declared once: groups that commands take as parameters, and shared ones."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import typer

from attnbench.console import fail
from impls.registry import unknown

# Generators take 64 bits, and visits add to the seed.
SEED_AT_MOST = 2**62

Allocator = Literal["keep", "system"]
Ceilings = Literal["today", "fresh"]
Refuted = Literal["refuted"]


def one_of(kind: str, choices: tuple[str, ...]) -> Callable[[str], str]:
    """Return a parser of an option that refuses a word it does not have, in a line that names its choices."""

    def parse(value: str) -> str:
        if value not in choices:
            raise fail(unknown(kind, value, choices))
        return value

    return parse


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of its dataclass parameters, each an option of its own."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if is_dataclass(hint) and isinstance(hint, type)}
    options = []
    for option in inspect.signature(command).parameters.values():
        if option.name in groups:
            options += _options_of(groups[option.name])
        else:
            options.append(option.replace(kind=option.KEYWORD_ONLY, annotation=hints[option.name]))

    def call(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        command(**given)

    # functools.wraps would also set __wrapped__, by which typer finds the command's own annotations in place of these.
    call.__name__, call.__doc__, call.__module__ = command.__name__, command.__doc__, command.__module__
    call.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]  # inspect reads it, typing does not
    call.__annotations__ = {option.name: option.annotation for option in options}
    return call


def _options_of(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(group)
    ]


def scenario_names(incomplete: str) -> list[str]:
    """List the scenarios that a shell may complete a word to."""
    from scenarios import catalog

    return [scenario.name for scenario in catalog.CATALOG if scenario.name.startswith(incomplete)]


def implementation_names(incomplete: str) -> list[str]:
    """List the built-in implementations that a shell may complete a word to, without importing one."""
    from impls.discovery import built_in_names
    from impls.registry import problem_folders

    names = [name for folder in problem_folders() for name in built_in_names(folder.name)]
    return [name for name in names if name.startswith(incomplete)]


# Options that commands share without the rest of a group

ImplFile = Annotated[list[str] | None, typer.Option("--impl-file", help="Python file that registers implementations.")]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:N, mps; the best if not given.")]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="CPU threads; if not given, as many as cores and control groups allow."),
]
Impl = Annotated[
    list[str] | None,
    typer.Option(
        "--impl", help="Implementation name or pattern; may be repeated.", autocompletion=implementation_names
    ),
]
Dtype = Annotated[list[str] | None, typer.Option("--dtype", help="float32, float64, bfloat16, float16.")]
Axes = Annotated[
    list[str] | None,
    typer.Option("-a", "--axis", help="n=512,1024, n[pow2]=9:13, n_q=n/2 or online.block=64; repeatable."),
]
Directions = Annotated[
    list[str] | None, typer.Option("--direction", help="forward, backward, forward+backward; repeatable.")
]
Caches = Annotated[list[str] | None, typer.Option("--cache", help="hot or cold; repeatable.")]
KeywordOf = Annotated[str, typer.Option("-k", help="Expression over case labels: 'flash and not n=64'.")]
RunDirectory = Annotated[Path | None, typer.Option("-o", "--output", help="Run directory; new under runs/.")]
OutputFile = Annotated[
    Path | None, typer.Option("-o", "--output", help="File to write; beside the first run if not given.")
]
Baselines = Annotated[Path, typer.Option("--baselines", help="Folder of saved baselines.")]
Fast = Annotated[bool, typer.Option("--fast", help="Fewer rounds, about a minute.")]
Rigorous = Annotated[
    bool, typer.Option("--rigorous", help="Several worker processes, more rounds, up to half an hour.")
]
TimeBudget = Annotated[
    str | None,
    typer.Option(
        "--time-budget", help="Time for the run with its report, e.g. 300 or 10m; says first what it leaves out."
    ),
]
Timeout = Annotated[str | None, typer.Option("--timeout", help="Seconds a case may take at one step.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=SEED_AT_MOST, help="Seed of inputs and of the order.")]
Junit = Annotated[Path | None, typer.Option("--junit", help="Write a JUnit file for CI.")]


@dataclass(frozen=True)
class Telling:
    """How a command tells what it found."""

    json: Annotated[bool, typer.Option("--json", help="Print one JSON document; the rest on standard error.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and mistakes.")] = False


@dataclass(frozen=True)
class Cases:
    """What is measured: scenarios, and what restricts them."""

    scenarios: Annotated[
        list[str] | None,
        typer.Argument(help="Scenario names or TOML files; the default set if none.", autocompletion=scenario_names),
    ] = None
    impl: Impl = None
    impl_file: ImplFile = None
    axis: Axes = None
    dtype: Dtype = None
    direction: Directions = None
    cache: Caches = None
    keyword: KeywordOf = ""
    shard: Annotated[str, typer.Option("--shard", help="I/N: this part of the curves, for several machines.")] = "1/1"


@dataclass(frozen=True)
class Narrowing:
    """What narrows scenarios down to one case."""

    impl: Impl = None
    impl_file: ImplFile = None
    axis: Axes = None
    dtype: Dtype = None
    direction: Directions = None
    cache: Caches = None
    keyword: KeywordOf = ""

    def of(self, source: str) -> Cases:
        """Return the same words for a scenario or run directory."""
        return Cases(
            [source], self.impl, self.impl_file, self.axis, self.dtype, self.direction, self.cache, self.keyword
        )


@dataclass(frozen=True)
class Place:
    """Where it is measured."""

    device: Device = None
    threads: Threads = None


@dataclass(frozen=True)
class Effort:
    """How a run measures: how long, how closely, from which seed, beside which baseline."""

    fast: Fast = False
    rigorous: Rigorous = False
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            help="Stop a case once its 95 % interval is this narrow within the run (half-width, e.g. 1%).",
        ),
    ] = None
    time_budget: TimeBudget = None
    sustain: Annotated[
        bool, typer.Option("--sustain", help="Load the device for seconds with a few cases, whatever time is left.")
    ] = False
    fresh_memory: Annotated[
        bool, typer.Option("--fresh-memory", help="Compare calls on fresh memory (CPU), whatever time is left.")
    ] = False
    ceilings: Annotated[
        Ceilings,
        typer.Option(
            "--ceilings",
            help="today: those of an earlier run of today, if there are any; fresh: measure them.",
            parser=one_of("ceilings", get_args(Ceilings)),
        ),
    ] = "today"
    allocator: Annotated[
        Allocator,
        typer.Option(
            "--allocator",
            help="keep: workers reuse freed memory (CPU); system: leave the C library alone.",
            parser=one_of("allocator", get_args(Allocator)),
        ),
    ] = "keep"
    timeout: Timeout = None
    baseline: Annotated[str | None, typer.Option("--baseline", help="What counts as 1.0x in speed-ups.")] = None
    seed: Seed = 0


TlsCa = Annotated[Path | None, typer.Option("--tls-ca", help="Certificate of the authority, PEM.")]
TlsCert = Annotated[Path | None, typer.Option("--tls-cert", help="Certificate of this side, PEM.")]
TlsKey = Annotated[Path | None, typer.Option("--tls-key", help="Its key, PEM.")]
CoresPerWorker = Annotated[
    int | None, typer.Option("--cores-per-worker", min=1, help="Cores of its own for each worker.")
]


@dataclass(frozen=True)
class Devices:
    """On which devices at once, and how they are reached."""

    workers: Annotated[
        str | None,
        typer.Option("--workers", help="local: a worker on every GPU here, else on the CPU; or how many of them."),
    ] = None
    cores_per_worker: CoresPerWorker = None
    cluster: Annotated[
        str | None, typer.Option("--cluster", help="Scheduler of workers elsewhere: the file it wrote, or its address.")
    ] = None
    on: Annotated[
        str | None, typer.Option("--on", help="Classes of devices, each measures all: h100,a100,cpu; all there are.")
    ] = None
    one_per_host: Annotated[
        bool, typer.Option("--one-per-host", help="Measure on one device of a host at a time, without neighbours.")
    ] = False
    tls_ca: TlsCa = None
    tls_cert: TlsCert = None
    tls_key: TlsKey = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes of devices that are asked for, each once; none stands for all there are."""
        return tuple(dict.fromkeys(name for name in (self.on or "").split(",") if name))


@dataclass(frozen=True)
class Output:
    """Where a run goes, and how it ends."""

    output: RunDirectory = None
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in -o DIR, as it was planned.")] = False
    fail_on: Annotated[
        Refuted | None,
        typer.Option(
            "--fail-on",
            help="'refuted': exit with 1 if a claim is refuted.",
            parser=one_of("verdict", get_args(Refuted)),
        ),
    ] = None
