"""Burst and sustained: the rate of a few calls beside that of seconds of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports import style, units
from reports.figures.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure as Drawing

    from harness.records import Record
    from reports.figures.marks import Looks

# More rows than this make no small figure; the table below it has all of them.
BURSTS_AT_MOST = 24


@dataclass(frozen=True)
class Rates:
    """The operations per second of a case in timing, and under sustained load."""

    record: Record
    burst: float
    sustained: float

    @property
    def kept(self) -> float:
        """Return the share of the burst rate that remains under load."""
        return self.sustained / self.burst


def bursts(records: Sequence[Record], colors: Looks, *, key: str) -> Figure | None:
    """Draw the rate of a few calls beside that of seconds of them; None if no case was loaded for long enough."""
    rates = _loaded(records)
    if not rates:
        return None
    drawn = rates[:BURSTS_AT_MOST]
    title, finding = "Burst and sustained throughput", _finding(rates)
    return Figure(
        id=f"bursts-{key}",
        title=title,
        svg=style.to_svg(
            draw_bursts(drawn, colors),
            prefix=f"bursts-{key}",
            alt=f"{title}: two marks per implementation. {finding}",
            colors=colors,
        ),
        alt=title,
        how="Hollow: the rate in timing, a few calls at a time. Filled: the rate over seconds of calls without a "
        "pause, when clocks, power limits and temperature have their say. Each is the case that was loaded for long."
        + (f" The {BURSTS_AT_MOST} quickest of {len(rates)} are drawn." if len(rates) > len(drawn) else ""),
        finding=finding,
        columns=("implementation", "point", "dtype", "burst", "sustained", "sustained of burst"),
        rows=tuple(_row(one) for one in rates),
        wide=True,
    )


def _loaded(records: Sequence[Record]) -> list[Rates]:
    """Return the rates of the cases that were loaded for long enough, the quickest under load first."""
    found = []
    for record in records:
        summary = record.telemetry.summary if record.telemetry else {}
        if record.counts and record.time and record.time.median > 0 and summary.get("sustained_flops", 0.0) > 0:
            # Of its own timed samples: in runs before schema 1.3 the telemetry's figure is that of the preparation.
            burst = record.counts.operations / record.time.median
            found.append(Rates(record, burst, summary["sustained_flops"]))
    return sorted(found, key=lambda one: -one.sustained)


def draw_bursts(drawn: Sequence[Rates], colors: Looks) -> Drawing:
    """Draw a row for each case, from a hollow mark for its burst to a filled one under load."""
    drawing, axes = style.canvas(inches=(style.WIDE[0], 1.0 + 0.26 * len(drawn)))
    for place, one in enumerate(drawn):
        color = colors[one.record.case.implementation].color
        axes.plot([one.burst, one.sustained], [place, place], color=color, linewidth=1.6, alpha=0.6)
        axes.plot([one.burst], [place], color=color, marker="o", markersize=6, markerfacecolor="none", linestyle="none")
        axes.plot([one.sustained], [place], color=color, marker="o", markersize=6, markeredgewidth=0, linestyle="none")
    axes.set_yticks(range(len(drawn)), [style.clipped(one.record.case.implementation) for one in drawn])
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.set_ylim(len(drawn) - 0.5, -0.5)
    style.quantity_axis(
        axes.xaxis,
        [rate for one in drawn for rate in (one.burst, one.sustained)],
        lambda value: units.count(value, "FLOP/s", write=units.short),
        label="operations per second",
    )
    return drawing


def _finding(rates: Sequence[Rates]) -> str:
    worst = min(rates, key=lambda one: one.kept)
    if worst.sustained >= worst.burst:
        return "No implementation is slower under sustained load than in a burst."
    name = worst.record.case.implementation
    return f"{name} loses most under sustained load: it keeps {units.percent(worst.kept)} of its burst rate."


def _row(one: Rates) -> tuple[str, ...]:
    case = one.record.case
    return (
        case.implementation,
        ", ".join(f"{name} {value}" for name, value in case.point.items()),
        case.dtype,
        units.count(one.burst, "FLOP/s"),
        units.count(one.sustained, "FLOP/s"),
        units.percent(one.kept),
    )
