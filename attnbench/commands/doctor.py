"""`attnbench doctor`: what would spoil a measurement on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attnbench.console import fail, say, say_json, warn
from attnbench.options import Place, Telling, grouped


@grouped
def doctor_command(
    place: Place,
    *,
    aa: Annotated[
        bool, typer.Option("--aa", help="A long A/A test: how often equal code is called different.")
    ] = False,
    rehearse: Annotated[
        Path | None,
        typer.Option("--rehearse", help="On a GPU: ask it what is assumed of GPUs, into a JSON file; 3 minutes."),
    ] = None,
    telling: Telling,
) -> None:
    """Say what would spoil a measurement on this machine, and how small a difference it can show. Changes nothing.

    Example: attnbench doctor
    """
    from harness import policy
    from harness.doctor.diagnosis import FALSE_ALARMS, diagnose
    from harness.machine import devices
    from reports.terminal.doctor import as_text

    if rehearse is not None:
        write_rehearsal(place.device, rehearse, telling=telling)
        return
    try:
        diagnosis = diagnose(
            device=devices.choose(place.device, tell=warn), policy=policy.DEFAULT, threads=place.threads, is_full=aa
        )
    except ValueError as error:
        raise fail(str(error)) from None
    if telling.json:
        say_json(diagnosis.model_dump(mode="json"))
    else:
        say(as_text(diagnosis, false_alarms=FALSE_ALARMS))


def write_rehearsal(wanted: str | None, file: Path, *, telling: Telling) -> None:
    """Ask a GPU what is assumed of GPUs, write the answers, and print the part that reads in a line each."""
    from attnbench.writing import check_writable, write_file
    from harness.doctor.rehearsal import rehearse
    from harness.machine import devices

    try:
        device = devices.choose(wanted or "cuda")
        check_writable(file)
    except ValueError as error:
        raise fail(str(error)) from None
    if not device.startswith("cuda"):
        raise fail(f"--rehearse asks a GPU, and {device} is none")
    answers = rehearse(device, announce=(lambda _: None) if telling.quiet else warn)
    try:
        write_file(answers.model_dump_json(indent=1, by_alias=True).encode(), file)
    except ValueError as error:
        raise fail(str(error)) from None
    if telling.json:
        say_json(answers.model_dump(mode="json", by_alias=True))
        return
    for row in answers.recorded:
        what = row.fallback or row.reason or ", ".join(name.split("<", maxsplit=1)[0] for name in row.kernels[:3])
        say(f"{row.problem} {row.implementation} {row.dtype} n={row.n} {row.direction}: {what}")
    for sessions, times in answers.launching.items():
        queued = "queued ahead" if times["queued"] else "not queued ahead"
        spent = ", ".join(f"{name} {times[name] * 1e6:.2f} us" for name in ("device", "host", "call"))
        say(f"after {sessions} profiles: {spent} ({queued})")
    for setting, depth in answers.queue_depth.items():
        say(f"launch queue, {setting}: {depth} launches")
    for part, reason in answers.reasons.items():
        say(f"{part}: {reason}")
    say(f"rehearsal: {file}, {sum(answers.seconds.values()):.0f} s")
