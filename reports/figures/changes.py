"""Ratios of new over base, every case with its interval, a band for each implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import style, units
from reports.figures.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axis import Axis

    from harness.comparing.results import Changes, Compared

# Implementations with more than this many cases leave no room between them; the figure has the extremes of each.
CASES_AT_MOST = 40
# Ticks, by how far ratios reach from 1; what lies beyond the last is at the edge.
FAR, MARGIN = 1e4, 1.02
STEPS = (
    (1.15, (0.88, 0.9, 0.92, 0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06, 1.08, 1.1, 1.12, 1.14)),
    (1.6, (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6)),
    (6.0, (0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)),
    (60.0, (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)),
    (FAR, (1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4)),
)
INCHES_PER_NAME, INCHES_AT_LEAST = 0.55, 1.4


def ratios(changes: Changes) -> Figure | None:
    """Draw the ratio of every compared case with its interval; None if there is none."""
    groups: dict[str, list[Compared]] = {}
    for one in changes.cases:
        if one.ratio and one.low and one.high:
            groups.setdefault(one.case.implementation, []).append(one)
    if not groups:
        return None
    colors = style.looks(groups)
    height = max(INCHES_AT_LEAST, INCHES_PER_NAME * len(groups) + 0.8)
    drawing, axes = style.canvas(inches=(style.WIDE[0], height))
    axes.axvspan(1 / (1 + changes.same_within), 1 + changes.same_within, color=style.MUTED, linewidth=0, alpha=0.12)
    axes.axvline(1.0, color=style.INK, linewidth=0.9)
    values = [1.0]
    for place, (name, cases) in enumerate(groups.items()):
        drawn = _drawn(cases)
        values += [bound for one in drawn for bound in (one.low, one.high) if bound]
        for step, one in enumerate(drawn):
            y = place + 0.35 - 0.7 * (step + 0.5) / len(drawn)
            low, ratio, high = (_within(value) for value in (one.low, one.ratio, one.high))
            axes.plot([low, high], [y, y], color=colors[name].color, linewidth=0.8)
            axes.plot(ratio, y, color=colors[name].color, marker=colors[name].marker, markersize=3, linewidth=0)
    axes.set_yticks(range(len(groups)), labels=[style.clipped(name) for name in groups])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    _ratio_axis(axes.xaxis, values)
    title = "New over base, case by case"
    slower, faster = len(changes.having("slower")), len(changes.having("faster"))
    finding = f"{units.counted(slower, 'case')} slower, {units.counted(faster, 'case')} faster."
    return Figure(
        id="changes-ratios",
        title=title,
        svg=style.to_svg(drawing, prefix="changes-ratios", alt=f"{title}. {finding}", colors=colors),
        alt=title,
        how="Each line is one case: its ratio and the 95 % interval. The band is what counts as the same. Of an "
        f"implementation with more than {CASES_AT_MOST} cases, those furthest from 1 are drawn.",
        finding=finding,
        wide=True,
    )


def _ratio_axis(axis: Axis, values: list[float]) -> None:
    """Make an axis of ratios logarithmic, with round figures about 1 as its ticks."""
    style.quantity_axis(axis, values, units.ratio_tick, label="new over base; left of 1 is faster")
    from matplotlib.ticker import FixedLocator

    low, high = _within(min(values)), _within(max(values))
    steps = next(steps for reach, steps in STEPS if max(high, 1 / low) <= reach)
    axis.axes.set_xlim(low / MARGIN, high * MARGIN)
    axis.set_major_locator(FixedLocator([step for step in steps if low / MARGIN <= step <= high * MARGIN]))


def _within(value: float | None) -> float:
    """Return where a ratio is drawn: at the edge, if it lies beyond."""
    return min(max(value or 1.0, 1 / FAR), FAR)


def _drawn(cases: list[Compared]) -> list[Compared]:
    """Return the cases furthest from 1, slowest first."""
    furthest = sorted(cases, key=lambda one: max(one.ratio or 1.0, 1 / (one.ratio or 1.0)), reverse=True)
    return sorted(furthest[:CASES_AT_MOST], key=lambda one: one.ratio or 1.0)
