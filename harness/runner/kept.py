"""Ceilings kept: measured once a machine and day, in a file of the user's cache; no file, no matter."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from harness.records import Ceiling, DataModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class KeptCeilings(DataModel):
    """The ceilings of an environment, by its id, and the day that they were measured."""

    environment_id: str
    day: str
    ceilings: list[Ceiling]


def folder(variables: Mapping[str, str] = os.environ) -> Path | None:
    """Return the folder of the user's cache: under XDG_CACHE_HOME, else in the home directory; None without either."""
    if variables.get("XDG_CACHE_HOME"):
        return Path(variables["XDG_CACHE_HOME"]) / "attnbench"
    try:
        return Path.home() / ".cache" / "attnbench"
    except RuntimeError:
        return None


def today() -> str:
    """Return the date here."""
    return dt.datetime.now().astimezone().date().isoformat()


def read(environment_id: str, *, dtypes: Iterable[str], place: Path | None, day: str) -> list[Ceiling]:
    """Return the ceilings that this environment was found to have today; empty if a dtype's is not among them."""
    if place is None:
        return []
    try:
        kept = KeptCeilings.model_validate(json.loads(_file(place, environment_id).read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return []
    names = {ceiling.name for ceiling in kept.ceilings}
    is_whole = all(f"matmul {dtype}" in names for dtype in dtypes)
    return kept.ceilings if kept.day == day and kept.environment_id == environment_id and is_whole else []


def write(environment_id: str, ceilings: list[Ceiling], *, place: Path | None, day: str) -> None:
    """Keep ceilings for the day; where that is impossible they are measured again next time."""
    if place is None:
        return
    kept = KeptCeilings(environment_id=environment_id, day=day, ceilings=ceilings)
    file = _file(place, environment_id)
    with contextlib.suppress(OSError):
        place.mkdir(parents=True, exist_ok=True)
        # Another run must not read half a file.
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_text(kept.model_dump_json(), encoding="utf-8")
        partial.replace(file)


def _file(place: Path, environment_id: str) -> Path:
    return place / f"ceilings-{environment_id}.json"
