"""Runs in memory, and their sweeps, from a few records: what figures are drawn from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.results.run import Run
from reports import style
from reports.figures.sweep import Sweep, sweeps
from reports.frame import frames
from tests.support import runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from harness.records import Record

BASE = {"d": 64, "heads": 2, "batch": 1}
SIZES = (64, 128, 256, 512, 1024, 2048)


def run_of(records: Iterable[Record], **known: Any) -> Run:
    """Hold records as a run directory's reader does; all else is absent unless told."""
    absent = {"waiting": (), "plan": None, "environment": None, "summary": None, "verdicts": (), "rounds": {}}
    fields = {"path": Path("nowhere"), "label": "run", "judged": False, "torn": 0, **absent, **known}
    return Run(records=tuple(records), **fields)


def swept(*names: str, sizes: Iterable[int] = SIZES, **point: Any) -> list[Record]:
    """Make a record of each implementation at each n."""
    return [runs.ok_record(name, **{**BASE, "n": n, **point}) for n in sizes for name in names]


def timed(record: Record, seconds: float, **changes: Any) -> Record:
    """Give a record a time of so many seconds, known to a per cent."""
    known = {"median": seconds, "best": seconds, "low": 0.99 * seconds, "high": 1.01 * seconds, **changes}
    assert record.time is not None
    return record.model_copy(update={"time": record.time.model_copy(update=known)})


def table_of(*several: Run) -> pd.DataFrame:
    return frames(several)


def sweep_of(records: Iterable[Record], **known: Any) -> Sweep:
    """Return the one sweep that records are of."""
    run = run_of(records, **known)
    (found,) = sweeps([run], frames([run]))
    return found


def colors_of(*names: str) -> dict[str, style.Appearance]:
    return style.looks(names)
