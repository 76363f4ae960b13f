"""What fresh memory costs: a call whose large blocks went back to the system, over one whose blocks were kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import style, units
from reports.figures.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.records import Allocation, Record

# More rows than this make no small figure; the table below it has all of them.
ROWS_AT_MOST = 24


def fresh_memory(records: Sequence[Record], colors: dict[str, style.Appearance], *, key: str) -> Figure | None:
    """Draw the ratio of both times for each case that has them; None if none has.

    Dearest first: of many the first ROWS_AT_MOST are drawn.
    """
    found = [(record, record.allocation) for record in records if record.allocation]
    if not found:
        return None
    found.sort(key=lambda pair: -pair[1].ratio)
    drawn = found[:ROWS_AT_MOST]
    names = [_name(record, sizes=_varying([record for record, _ in found])) for record, _ in drawn]
    drawing, axes = style.canvas(inches=(style.WIDE[0], 1.0 + 0.26 * len(drawn)))
    for place, (record, cost) in enumerate(drawn):
        look = colors[record.case.implementation]
        if cost.low is not None and cost.high is not None:
            axes.plot([cost.low, cost.high], [place, place], color=look.color, linewidth=2.2, alpha=0.45)
        axes.plot([cost.ratio], [place], color=look.color, marker=look.marker, markeredgewidth=0, linestyle="none")
    axes.axvline(1.0, color=style.INK, linewidth=0.9)
    ends = [end for _, cost in drawn for end in (cost.low, cost.ratio, cost.high) if end is not None]
    style.quantity_axis(axes.xaxis, [*ends, 1.0], units.ratio_tick, label="time with fresh memory over time with kept")
    axes.set_yticks(range(len(drawn)), names)
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.set_ylim(len(drawn) - 0.5, -0.5)
    title = "What fresh memory costs"
    finding = _finding(found)
    return Figure(
        id=f"allocation-{key}",
        title=title,
        svg=style.to_svg(
            drawing, prefix=f"allocation-{key}", alt=f"{title}: one row per case, with its interval. {finding}",
            colors=colors,
        ),
        alt=title,
        how="Each case was timed both ways, in turn: with the C library giving large blocks back to the system after "
        "each call, so that the next call touches pages it has to ask for again, and with the blocks kept. Right of "
        "the line fresh memory is dearer; bars are 95 % intervals."
        + (f" The {ROWS_AT_MOST} dearest of {len(found)} cases are drawn." if len(found) > len(drawn) else ""),
        finding=finding,
        columns=("implementation", "point", "dtype", "given back", "kept", "ratio", "95 % from", "to",
                 "page faults per call, given back", "kept", "rounds"),
        rows=tuple(_row(record, cost) for record, cost in found),
        wide=True,
    )  # fmt: skip


def _finding(found: Sequence[tuple[Record, Allocation]]) -> str:
    dearer = [cost for _, cost in found if cost.low is not None and cost.low > 1]
    record, worst = found[0]
    span = "" if worst.low is None else f" (95 %: {units.digits(worst.low)} to {units.digits(worst.high or 0.0)})"
    words = f"Fresh memory makes {len(dearer)} of {units.counted(len(found), 'case')} slower beyond the interval"
    returned, kept = round(worst.faults_returned), round(worst.faults_kept)
    faults = f"{units.plain(returned)} page faults per call instead of {units.plain(kept)}"
    return f"{words}; most {record.case.implementation}, by {units.ratio(worst.ratio)}{span}, with {faults}."


def _row(record: Record, cost: Allocation) -> tuple[str, ...]:
    point = ", ".join(f"{name} {value}" for name, value in record.case.point.items())
    return (
        record.case.implementation,
        point,
        record.case.dtype,
        units.seconds(cost.returned),
        units.seconds(cost.kept),
        units.ratio(cost.ratio),
        units.ratio(cost.low),
        units.ratio(cost.high),
        units.plain(round(cost.faults_returned, 1)),
        units.plain(round(cost.faults_kept, 1)),
        units.plain(cost.rounds),
    )


def _varying(records: Sequence[Record]) -> list[str]:
    """List the sizes in which cases differ: a label needs no others."""
    names = dict.fromkeys(name for record in records for name in record.case.point)
    return [name for name in names if len({str(record.case.point.get(name)) for record in records}) > 1]


def _name(record: Record, *, sizes: Sequence[str]) -> str:
    told = " ".join(f"{name} {record.case.point[name]}" for name in sizes if name in record.case.point)
    return f"{style.clipped(record.case.implementation)} {told}".strip()
