"""`attnbench check`: agreement with the oracle alone, on a battery of adversarial cases."""

from __future__ import annotations

from typing import Annotated

import typer

from attnbench.console import fail, quiet, say, wide_console
from attnbench.options import SEED_AT_MOST, Device, Dtype, Impl, ImplFile, Json, Junit, grouped


@grouped
def check_command(
    *,
    impl: Impl = None,
    impl_file: ImplFile = None,
    problem: Annotated[str, typer.Option("--problem", help="attention, multihead or pooling.")] = "attention",
    dtype: Dtype = None,
    device: Device = None,
    keyword: Annotated[str, typer.Option("-k", help="Keep the probes whose title contains this.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="The few probes that find most mistakes.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, max=SEED_AT_MOST, help="Seed of the inputs.")] = 0,
    json_output: Json = False,
    junit: Junit = None,
) -> None:
    """Hold implementations against the float64 oracle on a battery of adversarial cases; nothing is timed.

    Example: attnbench check --impl-file my_kernel.py --dtype bfloat16
    """
    from attnbench.reading import check_dtypes, make_worker_settings
    from harness.runner.check import check
    from harness.runner.supervisor import WorkerError
    from reports.exports.junit import junit as as_junit
    from reports.terminal.check import render

    try:
        settings = make_worker_settings(device, impl_file)
        check_dtypes(dtype)
        report = check(
            settings,
            names=impl or (),
            problem=problem,
            dtypes=dtype or (),
            quick=quick,
            only=keyword,
            seed=seed,
            progress=quiet(),
        )
        if junit is not None:
            junit.write_text(as_junit(report), encoding="utf-8")
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    except (ValueError, WorkerError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{error.filename}: {error.strerror}") from None
    if json_output:
        say(report.model_dump_json(indent=1))
    else:
        render(report, wide_console(), impl_files=impl_file or ())
    if report.nothing:
        raise fail(report.nothing, report.exit_code)
    raise typer.Exit(report.exit_code)
