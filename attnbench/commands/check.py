"""`attnbench check`: agreement with the oracle alone, on a battery of adversarial cases."""

from __future__ import annotations

from typing import Annotated

import typer

from attnbench.console import fail, listener, say_json, wide_console
from attnbench.options import SEED_AT_MOST, Device, Dtype, Impl, ImplFile, Junit, Telling, grouped


@grouped
def check_command(
    *,
    impl: Impl = None,
    impl_file: ImplFile = None,
    problem: Annotated[str, typer.Option("--problem", help="attention, multihead, pooling or varlen.")] = "attention",
    dtype: Dtype = None,
    device: Device = None,
    keyword: Annotated[str, typer.Option("-k", help="Keep the probes whose title contains this.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="The few probes that find most mistakes.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="All probes of what compiles for each shape too: seconds a shape.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, max=SEED_AT_MOST, help="Seed of the inputs.")] = 0,
    junit: Junit = None,
    telling: Telling,
) -> None:
    """Hold implementations against the float64 oracle on a battery of adversarial cases; nothing is timed.

    Example: attnbench check --impl-file my_kernel.py --dtype bfloat16
    """
    from attnbench.reading import check_dtypes, check_known, make_worker_settings
    from attnbench.writing import check_writable, write_file
    from harness.runner.check import check
    from harness.runner.supervisor import WorkerError
    from impls.registry import problem_folders
    from reports.exports.junit import junit as as_junit
    from reports.terminal.check import render

    try:
        settings = make_worker_settings(device, impl_file)
        check_dtypes(dtype)
        check_known("problem", [problem], [folder.name for folder in problem_folders()])
        if junit is not None:
            check_writable(junit)
        report = check(
            settings,
            names=impl or (),
            problem=problem,
            dtypes=dtype or (),
            quick=quick,
            only=keyword,
            every=every,
            seed=seed,
            progress=listener(telling),
        )
        if junit is not None:
            write_file(as_junit(report).encode(), junit)
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    except (ValueError, WorkerError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{error.filename}: {error.strerror}") from None
    if telling.json:
        say_json(report.model_dump(mode="json"))
    else:
        render(report, wide_console(), impl_files=impl_file or ())
    if report.nothing:
        raise fail(report.nothing, report.exit_code)
    raise typer.Exit(report.exit_code)
