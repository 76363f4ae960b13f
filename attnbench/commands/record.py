"""`attnbench record`: the calls of attention that a program makes become a scenario, each weighted by its count."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from attnbench.console import USAGE, fail, say, say_json, warn
from attnbench.options import Telling, grouped

# What a shell adds to the number of a signal that ended a program.
SIGNALLED = 128


@grouped
def record_command(
    *,
    command: Annotated[list[str], typer.Argument(help="Program to run, after --: python my_model.py.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="TOML file to write; one that exists is kept.")] = Path(
        "recorded.toml"
    ),
    telling: Telling,
) -> None:
    """Run a program and write its calls of attention as a scenario, each weighted by how often it is made.

    SDPA, flex_attention and flash-attn are seen in all of its Python processes, not what torch.compile makes: that is
    switched off. It ends with the program's exit code.

    Example: attnbench record -o model.toml -- python my_model.py
    """
    from attnbench.commands.new import write_new
    from harness.recording import gathering

    if output.suffix != ".toml":
        raise fail(f"{str(output)!r} must end in .toml")
    if output.exists():
        raise fail(f"{output} exists: choose another name")
    try:
        recorded = gathering.record(command, output=sys.stderr if telling.json else None)
    except OSError as error:
        raise fail(f"can't run {command[0]!r}: {error.strerror}") from None
    code = recorded.code if recorded.code >= 0 else SIGNALLED - recorded.code
    if not recorded.calls:
        reasons = "; ".join(f"{count} left out: {reason}" for reason, count in recorded.left_out)
        unheard = "no Python of it read PYTHONPATH (-I, -E or -S?)" if not recorded.pythons else "it made none"
        raise fail(f"no call of attention to write: {reasons or unheard}", code or USAGE)
    scenario = gathering.scenario_of(recorded, name=output.stem)
    write_new(output, gathering.to_toml(recorded, scenario))
    following = shlex.join(("attnbench", "run", str(output)))
    if code:
        warn(f"the program ended with {code}; what it called until then is written")
    if telling.json:
        left_out = [{"reason": reason, "calls": count} for reason, count in recorded.left_out]
        kinds = [call.model_dump(mode="json") for call in recorded.calls]
        say_json({"file": str(output), "code": code, "calls": kinds, "left_out": left_out, "next": [following]})
        raise typer.Exit(code)
    say(f"{output}: {recorded.count} calls of {len(recorded.calls)} kinds, on {', '.join(recorded.devices)}")
    for reason, count in recorded.left_out:
        say(f"left out: {count} calls: {reason}")
    if not telling.quiet:
        say("next:")
        say(f"  {following}")
    raise typer.Exit(code)
