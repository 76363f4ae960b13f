"""The commands that measure: list, plan, check, run. Their bodies import what they need when called."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.policy import Policy
    from harness.runner.execute import Finished
    from harness.runner.selection import Request, Selection
    from scenarios.scenario import Scenario

USAGE, INTERRUPTED = 2, 130
# Generators take 64 bits, and visits add to the seed.
SEED_AT_MOST = 2**62
# Columns of a table where no terminal says how wide it is.
LOG_WIDTH = 170
SIZES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))

Scenarios = Annotated[list[str] | None, typer.Argument(help="Scenario names or TOML files; the default set if none.")]
Impl = Annotated[list[str] | None, typer.Option("--impl", help="Implementation name or pattern; may be repeated.")]
ImplFile = Annotated[list[str] | None, typer.Option("--impl-file", help="Python file that registers implementations.")]
AxisOption = Annotated[list[str] | None, typer.Option("-a", "--axis", help="n=512,1024 or n[pow2]=9:13; repeatable.")]
DtypeOption = Annotated[list[str] | None, typer.Option("--dtype", help="float32, float64, bfloat16, float16.")]
DirectionOption = Annotated[
    list[str] | None, typer.Option("--direction", help="forward, backward, forward+backward; repeatable.")
]
CacheOption = Annotated[list[str] | None, typer.Option("--cache", help="hot or cold; repeatable.")]
DeviceOption = Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:N, mps; the best if not given.")]
KeywordOption = Annotated[str, typer.Option("-k", help="Expression over case labels: 'flash and not n=64'.")]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads; all allowed if not given.")]
ShardOption = Annotated[str, typer.Option("--shard", help="I/N: this part of the cases, for several machines.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class After:
    """What the face adds to a run, given its directory: `finish` reports and shows, `teach` writes the lesson."""

    finish: Callable[[Path], None]
    teach: Callable[[Path], Path]


def fail(message: str, code: int = USAGE) -> typer.Exit:
    """Print an error on standard error, a line each, and return the exit to raise."""
    for line in message.splitlines():
        print(f"attnbench: {line}", file=sys.stderr)  # noqa: T201
    return typer.Exit(code)


def choose_of(option: str, value: str | None, known: tuple[str | None, ...]) -> None:
    """Refuse a value that an option doesn't have."""
    if value not in known:
        raise fail(f"{option} {value!r}: have {', '.join(name for name in known if name)}")


def say(line: str = "") -> None:
    """Print a line."""
    print(line, flush=True)  # noqa: T201


def find_scenarios(names: list[str] | None) -> tuple[Scenario, ...]:
    """Find scenarios by name or path, each once; the default set where none is named. Raises ScenarioError."""
    from scenarios import catalog

    found = tuple(catalog.find(name) for name in dict.fromkeys(names or catalog.DEFAULT))
    twice = [name for name, count in Counter(scenario.name for scenario in found).items() if count > 1]
    if twice:
        raise catalog.ScenarioError(f"several scenarios are named {', '.join(twice)}: rename a file")
    return found


def make_selection(
    *,
    impl: list[str] | None,
    axis: list[str] | None,
    dtype: list[str] | None,
    direction: list[str] | None,
    cache: list[str] | None,
    keyword: str,
    shard: str,
) -> Selection:
    """Read the options that restrict a selection. Raises ScenarioError, SelectionError."""
    from typing import get_args

    from harness.runner import selection
    from impls.registry import unknown
    from scenarios import catalog, scenario

    for kind, given, known in (
        ("dtype", dtype, get_args(scenario.Dtype)),
        ("direction", direction, get_args(scenario.Direction)),
        ("cache", cache, get_args(scenario.Cache)),
    ):
        for value in given or ():
            if value not in known:
                raise selection.SelectionError(unknown(kind, value, known))
    axes = dict(catalog.parse_axis(text) for text in axis or ())
    for name in axes:
        if name not in scenario.AXIS_NAMES:
            raise selection.SelectionError(unknown("axis", name, scenario.AXIS_NAMES))
    return selection.Selection(
        implementations=tuple(impl or ()),
        axes=axes,
        dtypes=tuple(dtype or ()),
        directions=tuple(direction or ()),
        caches=tuple(cache or ()),
        keyword=keyword,
        shard=selection.parse_shard(shard),
    )


def make_policy(
    *, fast: bool, rigorous: bool, precision: str | None
) -> tuple[Literal["fast", "default", "rigorous"], Policy]:
    """Choose the policy of a run. Raises SelectionError."""
    from harness import policy
    from harness.runner.selection import SelectionError

    if fast and rigorous:
        raise SelectionError("--fast and --rigorous exclude each other")
    preset: Literal["fast", "default", "rigorous"] = "fast" if fast else "rigorous" if rigorous else "default"
    chosen = {"fast": policy.FAST, "default": policy.DEFAULT, "rigorous": policy.RIGOROUS}[preset]
    if precision is not None:
        timing = chosen.timing.model_copy(update={"precision": parse_share(precision)})
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
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    value = float(found[1]) * {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}[found[2]] if found else 0.0
    if value <= 0.0:
        raise SelectionError(f"duration {text!r} must read 90, 90s, 10m or 1h")
    return value


def size(count: int) -> str:
    """Format bytes."""
    for factor, unit in SIZES:
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} B"


def default_output() -> Path:
    """Name a new run directory under runs/ by the time."""
    import datetime as dt

    stamp = dt.datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    candidates = [Path("runs") / (stamp if number == 0 else f"{stamp}-{number}") for number in range(100)]
    return next(path for path in candidates if not path.exists())


def list_command(
    impl_file: ImplFile = None,
    device: DeviceOption = None,
    json_output: JsonOption = False,  # noqa: FBT002
) -> None:
    """List implementations, scenarios and devices, and why something is unavailable.

    Example: attnbench list --impl-file my_kernel.py
    """
    from harness import devices, policy
    from harness.protocol.messages import Describe
    from harness.runner.supervisor import Supervisor, WorkerError, WorkerSettings
    from scenarios import catalog

    try:
        chosen = devices.choose(device)
        settings = WorkerSettings(device=chosen, policy=policy.DEFAULT, impl_files=tuple(impl_file or ()))
        with Supervisor(settings, progress=progress_module().quiet()) as supervisor:
            described = supervisor.require(Describe())
        found = devices.present()
    except (devices.DeviceError, WorkerError) as error:
        raise fail(str(error)) from None
    scenarios = [{"name": s.name, "problem": s.problem, "question": s.question} for s in catalog.CATALOG]
    if json_output:
        say(
            json.dumps(
                {"device": chosen, "devices": found, "scenarios": scenarios, **described.model_dump(exclude={"kind"})},
                indent=1,
            )
        )
        return
    say(f"Implementations on {chosen} ({described.device_name}):")
    for entry in described.implementations:
        state = " ".join(entry.supports) if entry.available else f"unavailable: {entry.reason}"
        say(f"  {entry.problem:<10} {entry.name:<16} {state}")
    say("Scenarios (* in the default set):")
    for scenario in scenarios:
        mark = "*" if scenario["name"] in catalog.DEFAULT else " "
        say(f"  {mark} {scenario['name']:<18} {scenario['question']}")
    say(f"Devices: {', '.join(found)}")


def progress_module() -> Any:
    """Return the module that shows progress, which lies above this one."""
    return importlib.import_module("reports.terminal.progress")


def make_options(
    *,
    scenarios: list[str] | None,
    impl: list[str] | None,
    impl_file: list[str] | None,
    axis: list[str] | None,
    dtype: list[str] | None,
    device: str | None,
    direction: list[str] | None,
    cache: list[str] | None,
    keyword: str,
    shard: str,
    threads: int | None,
) -> Request:
    """Read the options that say what is measured and where, under the default policy.

    Raises ScenarioError, SelectionError, DeviceError.
    """
    from harness import devices, policy
    from harness.runner.selection import Request, SelectionError

    for file in impl_file or ():
        if not Path(file).is_file():
            raise SelectionError(f"--impl-file {file}: no such file")
    return Request(
        scenarios=find_scenarios(scenarios),
        selection=make_selection(
            impl=impl, axis=axis, dtype=dtype, direction=direction, cache=cache, keyword=keyword, shard=shard
        ),
        device=devices.choose(device),
        policy=policy.DEFAULT,
        impl_files=tuple(impl_file or ()),
        threads=threads,
    )


def plan_command(
    scenarios: Scenarios = None,
    impl: Impl = None,
    impl_file: ImplFile = None,
    axis: AxisOption = None,
    dtype: DtypeOption = None,
    device: DeviceOption = None,
    direction: DirectionOption = None,
    cache: CacheOption = None,
    keyword: KeywordOption = "",
    shard: ShardOption = "1/1",
    threads: ThreadsOption = None,
    json_output: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show the cases of scenarios with their operations, memory and time, and what will be skipped and why.

    Example: attnbench plan sequence-length -a n=4096,65536 --impl batched
    """
    from harness.runner.plan import make_plan
    from harness.runner.supervisor import Supervisor, WorkerError, WorkerSettings

    duration = importlib.import_module("reports.units").duration
    try:
        request = make_options(
            scenarios=scenarios,
            impl=impl,
            impl_file=impl_file,
            axis=axis,
            dtype=dtype,
            device=device,
            direction=direction,
            cache=cache,
            keyword=keyword,
            shard=shard,
            threads=threads,
        )
        shown = progress_module().quiet()
        with Supervisor(WorkerSettings.of(request), progress=shown) as supervisor:
            planned = make_plan(request, supervisor, progress=shown)
    except (ValueError, WorkerError) as error:
        raise fail(str(error)) from None
    if json_output:
        say(planned.model_dump_json(indent=1, by_alias=True))
        return
    for case in planned.cases:
        what = f"{case.skip}: {case.reason}" if case.skip else ""
        if case.predicted is not None:
            cost = f"{case.predicted.operations:.3g} FLOP, {size(case.predicted.extra_bytes)} extra"
            what = f"{cost}, {duration(case.predicted.seconds)}{'; ' + what if what else ''}"
        say(f"{case.case.label}: {what}")
    for point in planned.dropped:
        say(f"{point.scenario} {point.point}: dropped, {point.reason}")
    running = [case for case in planned.cases if case.skip is None and case.predicted]
    total = sum(case.predicted.seconds for case in running if case.predicted)
    say(f"{len(planned.cases)} cases, {len(running)} to run; one call of each takes {duration(total)} or so")


def run_command(
    context: typer.Context,
    scenarios: Scenarios = None,
    impl: Impl = None,
    impl_file: ImplFile = None,
    axis: AxisOption = None,
    dtype: DtypeOption = None,
    device: DeviceOption = None,
    direction: DirectionOption = None,
    cache: CacheOption = None,
    keyword: KeywordOption = "",
    shard: ShardOption = "1/1",
    threads: ThreadsOption = None,
    fast: Annotated[bool, typer.Option("--fast", help="Fewer rounds, about a minute.")] = False,  # noqa: FBT002
    rigorous: Annotated[  # noqa: FBT002
        bool, typer.Option("--rigorous", help="Several worker processes, more rounds, up to half an hour.")
    ] = False,
    precision: Annotated[
        str | None, typer.Option("--precision", help="Half-width of the interval to stop at, as 1%.")
    ] = None,
    time_budget: Annotated[
        str | None, typer.Option("--time-budget", help="Seconds, or 10m: trims rounds, never cases.")
    ] = None,
    allocator: Annotated[
        str, typer.Option("--allocator", help="CPU: keep freed memory for the next call, or the system's own rules.")
    ] = "keep",
    timeout: Annotated[str | None, typer.Option("--timeout", help="Seconds a case may take at one step.")] = None,
    baseline: Annotated[str | None, typer.Option("--baseline", help="What counts as 1.0x in speed-ups.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=SEED_AT_MOST, help="Seed of inputs and of the order.")] = 0,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Run directory; new under runs/.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in -o DIR.")] = False,  # noqa: FBT002
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", help="'refuted': exit with 1 where a claim is refuted.")
    ] = None,
) -> None:
    """Measure scenarios and write the report: agreement first, then time, memory and utilization.

    Example: attnbench run sequence-length --impl 'sdpa-*' -a n=512,1024 --dtype float32
    """
    from harness import journal
    from harness.runner.execute import create_directory, execute, plan_and_execute, stored_plan
    from harness.runner.selection import Effort
    from harness.runner.supervisor import WorkerError

    if resume and output is None:
        raise fail("--resume needs the run directory: -o DIR")
    choose_of("--fail-on", fail_on, (None, "refuted"))
    choose_of("--allocator", allocator, ("keep", "system"))
    directory = output or default_output()
    try:
        preset, policy = make_policy(fast=fast, rigorous=rigorous, precision=precision)
        asked = make_options(
            scenarios=scenarios,
            impl=impl,
            impl_file=impl_file,
            axis=axis,
            dtype=dtype,
            device=device,
            direction=direction,
            cache=cache,
            keyword=keyword,
            shard=shard,
            threads=threads,
        )
        request = replace(
            asked,
            policy=policy,
            preset=preset,
            keep_memory=allocator == "keep",
            baseline=baseline,
            seed=seed,
            command=("attnbench", *sys.argv[1:]),
        )
        effort = Effort(timeout=parse_duration(timeout), time_budget=parse_duration(time_budget))
        stored = stored_plan(directory) if resume else None
        if output is not None and not resume:
            create_directory(output)
        try:
            with progress_module().make() as shown:
                if stored is None:
                    finished = plan_and_execute(request, directory, progress=shown, effort=effort)
                else:
                    finished = execute(stored, directory, progress=shown, effort=effort)
        except KeyboardInterrupt:
            raise fail("interrupted before anything was measured", INTERRUPTED) from None
    except (ValueError, WorkerError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        kept = "; what was measured is kept: make room, then continue with --resume"
        has_run = (directory / journal.JOURNAL).exists()
        raise fail(f"{error.filename or directory}: {error.strerror}{kept if has_run else ''}") from None
    raise show_run(context.obj, finished, directory, fail_on=fail_on)


def show_run(after: After, finished: Finished, directory: Path, *, fail_on: str | None) -> typer.Exit:
    """Write a run's report, print what it found, and return the exit to raise."""
    from harness import journal
    from harness.lesson import facts
    from harness.verdicts import judging

    unexpected = False
    try:
        if any(record.case.problem == "pooling" for record in finished.records):
            # What pooling predicts is drawn beside its cost; torch comes in once the measurements are over.
            from harness.lesson.systems import lesson

            facts.write(lesson(device=finished.plan.device, announce=say), directory)
        after.finish(directory)
        if finished.verdicts is not None:
            unexpected = bool(judging.unexpected(finished.verdicts, fail_on=(fail_on,) if fail_on else ()))
    except OSError as error:
        raise fail(f"{error.filename or directory}: {error.strerror}; the journal is intact") from None
    except ValueError as error:
        raise fail(f"{error}; the journal is intact") from None
    summary = finished.summary
    say(
        f"{summary.wall_seconds:.0f} s, {summary.call_share:.0%} of them inside calls of implementations; "
        f"{summary.rounds} rounds; " + ", ".join(f"{count} {status}" for status, count in summary.statuses.items())
    )
    for warning in summary.warnings:
        say(f"warning: {warning}")
    say(f"report: {directory / journal.REPORT}")
    if finished.is_interrupted:
        return typer.Exit(INTERRUPTED)
    return typer.Exit(finished.exit_code or (1 if unexpected else 0))


def lesson_command(
    context: typer.Context,
    device: DeviceOption = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Run directory; new under runs/.")] = None,
) -> None:
    """Walk the tutorial on attention on this machine and write a page of it, in a minute or so.

    Example: attnbench lesson -o runs/lesson
    """
    from harness import devices, policy
    from harness.lesson import facts
    from harness.runner.execute import plan_and_execute
    from harness.runner.selection import Request, Selection
    from harness.runner.supervisor import WorkerError
    from scenarios import tutorial

    directory = output or default_output()
    try:
        chosen = devices.choose(device)
        request = Request(
            scenarios=tutorial.LESSON,
            selection=Selection(),
            device=chosen,
            policy=policy.LESSON,
            preset="fast",
            command=("attnbench", *sys.argv[1:]),
        )
        with progress_module().make() as shown:
            finished = plan_and_execute(request, directory, progress=shown)
        if finished.is_interrupted:
            raise typer.Exit(INTERRUPTED)
        # The lesson's own sums need torch; its measurements, in worker processes, are over.
        from harness.lesson.systems import lesson

        facts.write(lesson(device=chosen, announce=say), directory)
        page = context.obj.teach(directory)
    except (ValueError, WorkerError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{error.filename or directory}: {error.strerror}") from None
    say(f"lesson: {page}")


def check_command(
    impl: Impl = None,
    impl_file: ImplFile = None,
    problem: Annotated[str, typer.Option("--problem", help="attention, multihead or pooling.")] = "attention",
    dtype: DtypeOption = None,
    device: DeviceOption = None,
    keyword: Annotated[str, typer.Option("-k", help="Keep the probes whose title contains this.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="The few probes that find most mistakes.")] = False,  # noqa: FBT002
    seed: Annotated[int, typer.Option("--seed", min=0, max=SEED_AT_MOST, help="Seed of the inputs.")] = 0,
    json_output: JsonOption = False,  # noqa: FBT002
    junit: Annotated[Path | None, typer.Option("--junit", help="Write a JUnit file for CI.")] = None,
) -> None:
    """Hold implementations against the float64 oracle on a battery of adversarial cases; nothing is timed.

    Example: attnbench check --impl-file my_kernel.py --dtype bfloat16
    """
    from rich.console import Console

    from harness import check as shown
    from harness import devices, policy
    from harness.runner import check
    from harness.runner.supervisor import WorkerError, WorkerSettings

    try:
        settings = WorkerSettings(
            device=devices.choose(device), policy=policy.DEFAULT, impl_files=tuple(impl_file or ())
        )
        make_selection(impl=None, axis=None, dtype=dtype, direction=None, cache=None, keyword="", shard="1/1")
        found = check.check(
            settings,
            names=impl or (),
            problem=problem,
            dtypes=dtype or (),
            quick=quick,
            only=keyword,
            seed=seed,
            progress=progress_module().quiet(),
        )
        if junit is not None:
            junit.write_text(shown.junit(found), encoding="utf-8")
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    except (ValueError, WorkerError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{error.filename}: {error.strerror}") from None
    if json_output:
        say(found.model_dump_json(indent=1))
    else:
        console = Console()
        shown.render(found, console if console.is_terminal else Console(width=LOG_WIDTH), impl_files=impl_file or ())
    raise typer.Exit(found.exit_code)


def verify_command(
    csv: Annotated[Path, typer.Option("--csv", help="A CSV table, or JSON of pytest-benchmark or google-benchmark.")],
    exponent: Annotated[float, typer.Option("--exponent", help="The exponent that is claimed.")],
    x: Annotated[str, typer.Option("--x", help="Column of sizes.")] = "n",
    y: Annotated[str, typer.Option("--y", help="Column of costs.")] = "seconds",
    by: Annotated[list[str] | None, typer.Option("--by", help="Column that groups rows; repeatable.")] = None,
    band: Annotated[float | None, typer.Option("--band", help="How far the exponent may lie off; 0.25.")] = None,
    kind: Annotated[
        str, typer.Option("--kind", help="component, or layer for laws with lower-order terms.")
    ] = "component",
    source: Annotated[str, typer.Option("--source", help="auto, csv, pytest-benchmark or google-benchmark.")] = "auto",
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw costs and fits to this SVG, PNG or PDF.")] = None,
    fail_on: Annotated[
        list[str] | None, typer.Option("--fail-on", help="contradicted, inconclusive or consistent: exit with 1.")
    ] = None,
    json_output: JsonOption = False,  # noqa: FBT002
) -> None:
    """Judge any table of numbers: does y grow as x to the exponent? By time alone, so never more than `consistent`.

    Example: attnbench verify --csv times.csv --x n --y seconds --exponent 2 --by impl
    """
    from harness import verify
    from impls.registry import unknown

    for option, given, known in (
        ("kind", [kind], ("component", "layer")),
        ("source", [source], ("auto", "csv", "pytest-benchmark", "google-benchmark")),
        ("verdict", fail_on or [], ("consistent", "contradicted", "inconclusive")),
    ):
        for value in given:
            if value not in known:
                raise fail(unknown(option, value, known))
    try:
        found = verify.verify(
            csv,
            x=x,
            y=y,
            exponent=exponent,
            by=by or (),
            band=band,
            kind="layer" if kind == "layer" else "component",
            source=source,  # type: ignore[arg-type]  # checked above
        )
        if plot is not None:
            verify.plot(found, plot)
    except ValueError as error:
        raise fail(str(error)) from None
    if json_output:
        say(json.dumps(found.document(), indent=1))
    else:
        for line in found.lines():
            say(line)
    raise typer.Exit(1 if found.fails(fail_on or ()) else 0)


def doctor_command(
    device: DeviceOption = None,
    threads: ThreadsOption = None,
    aa: Annotated[  # noqa: FBT002
        bool, typer.Option("--aa", help="A long A/A test: how often equal code is called different.")
    ] = False,
    json_output: JsonOption = False,  # noqa: FBT002
) -> None:
    """Say what would spoil a measurement on this machine, and how small a difference it can show. Changes nothing.

    Example: attnbench doctor
    """
    from harness import devices, doctor, policy

    try:
        found = doctor.diagnose(device=devices.choose(device), policy=policy.DEFAULT, threads=threads, is_full=aa)
    except ValueError as error:
        raise fail(str(error)) from None
    say(found.model_dump_json(indent=1) if json_output else doctor.as_text(found))
