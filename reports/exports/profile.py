"""The profile of a case as tables: its parts, what it holds over time, its hardware counters."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.profiled import CaseProfile, Counter


def parts(profile: CaseProfile) -> bytes:
    """Return the parts of a call as CSV, seconds and shares."""
    rows = ((part.name, part.kind, part.count, f"{part.seconds:.9f}", f"{part.share:.6f}") for part in profile.parts)
    return _csv(("name", "kind", "count", "seconds", "share"), rows)


def held(profile: CaseProfile) -> bytes:
    """Return what a call's allocations hold over time as CSV, seconds since it began and bytes."""
    return _csv(("seconds", "bytes"), ((f"{point.seconds:.9f}", point.bytes) for point in profile.held))


def counters(found: Sequence[Counter]) -> bytes:
    """Return hardware counters as CSV, each with its own unit."""
    return _csv(("name", "value", "unit", "kernel"), ((one.name, one.value, one.unit, one.kernel) for one in found))


def _csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(names)
    table.writerows(rows)
    return written.getvalue().encode()
