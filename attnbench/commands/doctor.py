"""`attnbench doctor`: what would spoil a measurement on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from attnbench.console import fail, say, warn
from attnbench.options import Json, Place, grouped


@grouped
def doctor_command(
    place: Place,
    *,
    aa: Annotated[
        bool, typer.Option("--aa", help="A long A/A test: how often equal code is called different.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Say what would spoil a measurement on this machine, and how small a difference it can show. Changes nothing.

    Example: attnbench doctor
    """
    from harness import policy
    from harness.doctor.diagnosis import FALSE_ALARMS, diagnose
    from harness.machine import devices
    from reports.terminal.doctor import as_text

    try:
        diagnosis = diagnose(
            device=devices.choose(place.device, tell=warn), policy=policy.DEFAULT, threads=place.threads, is_full=aa
        )
    except ValueError as error:
        raise fail(str(error)) from None
    say(diagnosis.model_dump_json(indent=1) if json_output else as_text(diagnosis, false_alarms=FALSE_ALARMS))
