"""The profile of a case for a terminal: its parts, what it holds, what bounds it, and where to look further."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from reports import units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.profiled import CaseProfile, Part, ProfileDocument
    from harness.records import Ceiling

# Parts below this share are added up in one row.
SHARE_SHOWN = 0.005
# Where the profiler lengthens a call by more, its shares are those of a call that it changed.
OVERHEAD_SAID = 1.1


def table(profile: CaseProfile) -> Table:
    """Return the parts of a call as a table, the largest first; what is small is one row."""
    made = Table(box=None, pad_edge=False)
    for title in ("share", "time", "times"):
        made.add_column(title, justify="right", no_wrap=True)
    made.add_column("what")
    shown = [part for part in profile.parts if part.share >= SHARE_SHOWN]
    rest = [part for part in profile.parts if part.share < SHARE_SHOWN]
    for part in shown:
        made.add_row(f"{part.share:.1%}", units.seconds(part.seconds), _count(part), Text(part.name))
    if rest:
        share, seconds = sum(part.share for part in rest), sum(part.seconds for part in rest)
        made.add_row(f"{share:.1%}", units.seconds(seconds), "", f"{len(rest)} more")
    return made


def _count(part: Part) -> str:
    return "" if part.kind == "outside" else str(part.count)


def heading(profile: CaseProfile) -> list[str]:
    """Return what was profiled, whether it agrees, and what the profiler adds to its time."""
    ratio = profile.agreement.ratio
    agrees = f"agrees with the oracle ({ratio:.2f} of its budget)" if ratio is not None else "agrees with the oracle"
    lines = [profile.case.label, f"{agrees}; {units.seconds(profile.call_seconds)} per call"]
    if not profile.parts:
        return [*lines, f"{profile.calls} calls were made, each in a range of its own"]
    what = "its kernels take" if profile.launches is not None else "profiled, it takes"
    lines.append(f"{what} {units.seconds(profile.profiled_seconds)} (the median of {profile.calls} calls)")
    if profile.profiled_seconds > OVERHEAD_SAID * profile.call_seconds:
        times = profile.profiled_seconds / profile.call_seconds
        lines.append(f"the profiler makes the call {times:.1f} times as long: short operators count for too much")
    return lines


def memory(profile: CaseProfile) -> str:
    """Return what the call's allocations hold, in a sentence."""
    if not profile.allocated_bytes:
        return "It allocates nothing."
    return (
        f"Its allocations hold at most {units.size(profile.peak_bytes)} at once, "
        f"and come to {units.size(profile.allocated_bytes)} in all."
    )


def sentence(document: ProfileDocument) -> str:
    """Return what bounds the call, in a sentence with the figures that it rests on."""
    profile, bound = document.profile, document.bound
    arithmetic = _roof(bound.arithmetic_seconds, profile.call_seconds)
    moving = _roof(bound.moving_seconds, profile.call_seconds)
    work = units.count(profile.operations, "FLOP")
    rates = {ceiling.unit: ceiling for ceiling in document.ceilings}
    if bound.by == "launches":
        where = "between kernels" if profile.launches is not None else "outside of operators or in very short ones"
        share = bound.launching_seconds / profile.profiled_seconds
        return f"Launches bound it: {share:.0%} of the call is {where}; fewer and larger operators would help."
    if bound.by == "arithmetic":
        return f"Arithmetic bounds it: {work}{_at(rates.get('FLOP/s'))} take {arithmetic}; bandwidth allows {moving}."
    if bound.by == "bandwidth":
        moved = units.size(bound.moved_bytes)
        return f"Bandwidth bounds it: {moved}, moved at least once, take {moving}; arithmetic allows {arithmetic}."
    largest = next((part for part in profile.parts if part.kind != "outside"), None)
    inside = f"; {largest.share:.0%} of it is in {largest.name}" if largest else ""
    return f"No ceiling is near: arithmetic takes {arithmetic}, bandwidth {moving}{inside}."


def _roof(seconds: float | None, call_seconds: float) -> str:
    if seconds is None:
        return "what was not measured here"
    return f"{units.seconds(seconds)}, {seconds / call_seconds:.0%} of the call"


def _at(ceiling: Ceiling | None) -> str:
    return f" at {units.count(ceiling.value, 'FLOP/s')}" if ceiling else ""


def counters(document: ProfileDocument) -> list[str]:
    """Return a line for each hardware counter, or the one that says why there are none; nothing if not asked for."""
    if document.counters_reason:
        return [document.counters_reason]
    found = [f"  {one.name}  {units.plain(one.value)}{f' {one.unit}' if one.unit else ''}" for one in document.counters]
    return ["hardware counters of one call, by Nsight Compute:", *found] if found else []


def text(document: ProfileDocument) -> Sequence[str]:
    """Return the lines below the table: memory, bound, notes, files, and what to paste for other profilers."""
    lines = [memory(document.profile), sentence(document)] if document.profile.parts else []
    lines += counters(document)
    lines += [f"wrote {file}" for file in document.files]
    if document.commands and document.profile.parts:
        lines += ["for other profilers, the same calls without this one:", *(f"  {line}" for line in document.commands)]
    return lines
