"""The machine over the whole run: clocks, load, power and temperature against time, with marks of throttling."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from harness.results.closing import canary_floor
from reports import style, units
from reports.figures.device.load import SERIES_WORDS
from reports.figures.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from harness.records import Telemetry
    from harness.results.run import Run

Points = list[tuple[float, float]]
# Readings beside rounds are drawn as their median and span in so many stretches of time; more can't be distinguished.
STRETCHES = 120
# What the panels are called; the canary is the reference kernel that is timed around each sample.
PANELS = {"canary": "canary, times its best", "steal_share": "time stolen by others, share", **SERIES_WORDS}
# A run shorter than this is told in seconds.
SECONDS_UP_TO = 180.0
HALFWAY = 0.5
# A canary within this is drawn on a plain axis.
LOG_FROM = 2.0
# Where marks of throttling stand, as a share of a panel's height.
MARK_HEIGHT = 0.97


@dataclass
class Timeline:
    """Hold what was read over a run, in seconds since its first reading.

    `rounds` has readings taken beside timed rounds, `loads` the series of each sustained load by implementation;
    `marks` are (from, to, reason) of throttling.
    """

    rounds: dict[str, Points] = field(default_factory=dict)
    loads: dict[str, list[tuple[str, Points]]] = field(default_factory=dict)
    marks: list[tuple[float, float, str]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Return which quantities there are, in order of the panels."""
        return [name for name in PANELS if self.rounds.get(name) or self.loads.get(name)]

    @property
    def last(self) -> float:
        """Return the seconds of the last reading."""
        return max(at for name in self.names for at, _ in self.points(name))

    def points(self, name: str) -> Points:
        """Return every reading of a quantity, those beside rounds first."""
        return [*self.rounds.get(name, ()), *(point for _, series in self.loads.get(name, ()) for point in series)]


def timeline(run: Run) -> Timeline:
    """Gather what the rounds and the sustained loads of a run say of the machine."""
    visits = sorted((visit for rounds in run.rounds.values() for visit in rounds), key=lambda visit: visit.started)
    loads = [
        (record.case.implementation, record.telemetry, record.telemetry.started)
        for record in run.records
        if record.telemetry and record.telemetry.started is not None
    ]
    found = Timeline()
    origin = min([visit.started for visit in visits] + [started for *_, started in loads], default=0.0)
    floor = canary_floor(visits)
    for visit in visits:
        at = visit.started - origin
        readings = {
            "clock_mhz": visit.sm_clock_mhz,
            "steal_share": visit.steal_share,
            "canary": statistics.median(visit.canary) / floor if visit.canary and floor else None,
        }
        for name, value in readings.items():
            if value is not None:
                found.rounds.setdefault(name, []).append((at, value))
        found.marks += [(at, at, reason) for reason in visit.throttle]
    if not any(value for _, value in found.rounds.get("steal_share", ())):
        found.rounds.pop("steal_share", None)
    for implementation, telemetry, started in loads:
        _add_load(found, implementation, telemetry, since=started - origin)
    return found


def _add_load(found: Timeline, implementation: str, telemetry: Telemetry, *, since: float) -> None:
    for name, series in telemetry.series.items():
        if name in SERIES_WORDS and series:
            moved = [(since + at, value) for at, value in series]
            found.loads.setdefault(name, []).append((implementation, moved))
    found.marks += [(since + first, since + last, reason) for first, last, reason in telemetry.throttle_spans]


def over_run(run: Run, colors: dict[str, style.Appearance], *, key: str, label: str) -> Figure | None:
    """Draw what was read of the machine against the time of the run; None if nothing was."""
    found = timeline(run)
    if not found.names:
        return None
    title, finding = "The machine over the run", _said(found)
    return Figure(
        id=f"timeline-{key}",
        title=f"{title}{f', {label}' if label else ''}",
        svg=style.to_svg(
            draw_timeline(found, colors),
            prefix=f"timeline-{key}",
            alt=f"{title}: {units.listing([PANELS[name] for name in found.names])}, against time. {finding}",
            colors=colors,
        ),
        alt=title,
        how="Grey: readings beside the timed rounds, their median with the span from lowest to highest. In colour: "
        "the sustained loads, one line per implementation, colours as everywhere. Red marks along the top say when the "
        "device was throttled. A level line means that the machine was the same for all; what drifts here "
        "drifts in the times."
        + (
            " The canary is a small matrix product timed around each sample: above 1 the machine was shared."
            if "canary" in found.names
            else ""
        ),
        finding=finding,
        columns=("figure", "readings", "lowest", "median", "highest"),
        rows=tuple(_row(found, name) for name in found.names) + _mark_rows(found),
        wide=True,
    )


def draw_timeline(found: Timeline, colors: Mapping[str, style.Appearance]) -> Drawing:
    """Draw a panel for each quantity against the time of the run, in seconds or minutes."""
    names, last = found.names, found.last
    unit = 60.0 if last > SECONDS_UP_TO else 1.0
    rows = (len(names) + 1) // 2
    drawing, grid = style.canvas(inches=(style.WIDE[0], 2.4 * rows), rows=rows, columns=2, squeeze=False)
    for axes, name in zip(grid.flat, names, strict=False):
        _draw_panel(axes, name, found, colors, unit=unit)
    if found.marks:
        _name_marks(grid.flat[0], share=found.marks[0][0] / last if last else 0.0)
    for axes in list(grid.flat)[len(names) :]:
        axes.set_axis_off()
    return drawing


def _draw_panel(axes: Axes, name: str, found: Timeline, colors: Mapping[str, style.Appearance], *, unit: float) -> None:
    """Draw one quantity: readings beside rounds, sustained loads, and marks of throttling."""
    _rounds(axes, found.rounds.get(name, []), unit=unit)
    for implementation, series in found.loads.get(name, ()):
        times, values = zip(*series, strict=True)
        axes.plot(np.divide(times, unit), values, color=colors[implementation].color, linewidth=1.3)
    _marks(axes, found.marks, last=found.last, unit=unit)
    # A run that ended within its first visit has one moment, and no width of its own.
    last = found.last / unit or 1.0
    axes.set_xlim(-0.01 * last, 1.01 * last)
    axes.set_xlabel(f"{'seconds' if unit == 1.0 else 'minutes'} since the first round")
    axes.set_ylabel(PANELS[name])
    if name.endswith("utilization"):
        axes.set_ylim(0, 1.05)
    if name == "canary":
        _slow_down_axis(axes, [value for _, value in found.rounds[name]])


def _rounds(axes: Axes, points: Points, *, unit: float) -> None:
    """Draw readings beside rounds: the median of each stretch of time, and the span around it."""
    if not points:
        return
    times, values = np.array(points).T
    edges = np.linspace(times[0], times[-1], STRETCHES + 1)[1:-1]
    parts = np.split(np.arange(len(times)), np.searchsorted(times, edges))
    stretches = [part for part in parts if len(part)]
    middle = [float(np.median(times[part])) / unit for part in stretches]
    axes.fill_between(
        middle,
        [float(values[part].min()) for part in stretches],
        [float(values[part].max()) for part in stretches],
        color=style.MUTED,
        alpha=0.18,
        linewidth=0,
    )
    axes.plot(middle, [float(np.median(values[part])) for part in stretches], color=style.MUTED, linewidth=1.2)


def _slow_down_axis(axes: Axes, values: list[float]) -> None:
    """Make the canary's axis logarithmic where it spans much: a single disturbed moment may be a hundredfold."""
    if max(values) > LOG_FROM:
        style.quantity_axis(axes.yaxis, [*values, 1.0], units.ratio_tick, label=PANELS["canary"])
    else:
        axes.yaxis.set_major_formatter(lambda value, _: units.ratio_tick(round(value, 3)))


def _marks(axes: Axes, marks: list[tuple[float, float, str]], *, last: float, unit: float) -> None:
    """Draw when clocks were held back as bars along a panel's upper edge."""
    stretches = marked_stretches(marks, last=last)
    starts, ends = [first / unit for first, _ in stretches], [end / unit for _, end in stretches]
    axes.hlines([MARK_HEIGHT] * len(stretches), starts, ends, transform=axes.get_xaxis_transform(), color=style.ALARM,
                linewidth=4)  # fmt: skip


def marked_stretches(marks: list[tuple[float, float, str]], *, last: float) -> list[tuple[float, float]]:
    """Join marks into stretches that a drawing of so many seconds can tell apart, however many there are."""
    width = (last or 1.0) / STRETCHES
    found: list[tuple[float, float]] = []
    for first, end, _ in sorted(marks):
        if found and first <= found[-1][1] + width:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((first, max(end, first + width)))
    return found


def _name_marks(axes: Axes, *, share: float) -> None:
    """Say what the red marks are below the first, which stands at a share of the width; on the side with room."""
    axes.annotate("clocks held back", xy=(share, MARK_HEIGHT), xycoords="axes fraction", xytext=(0, -6),
                  textcoords="offset points", va="top", ha="left" if share < HALFWAY else "right",
                  color=style.ALARM)  # fmt: skip


def _row(found: Timeline, name: str) -> tuple[str, ...]:
    values = [value for _, value in found.points(name)]
    figures = (min(values), statistics.median(values), max(values))
    return (PANELS[name], f"{len(values):,}", *(units.digits(value) for value in figures))


def _mark_rows(found: Timeline) -> tuple[tuple[str, ...], ...]:
    """Tabulate each reason of throttling: how often it was seen, and from when to when."""
    rows = []
    for reason in sorted({reason for *_, reason in found.marks}):
        mine = [mark for mark in found.marks if mark[2] == reason]
        span = f"{min(mark[0] for mark in mine):.1f} s to {max(mark[1] for mark in mine):.1f} s"
        rows.append((f"clocks held back: {reason}", f"{len(mine):,}", span, "", ""))
    return tuple(rows)


def _said(found: Timeline) -> str:
    """Say how steady the machine was, and whether its clocks were held back."""
    said = []
    clocks = [value for _, value in found.rounds.get("clock_mhz", ())]
    if clocks:
        low, high = min(clocks), max(clocks)
        said.append(
            f"Beside the rounds the clock stayed at {units.digits(high)} MHz."
            if high - low < 0.005 * high
            else f"Beside the rounds the clock lay between {units.digits(low)} and {units.digits(high)} MHz."
        )
    canary = [value for _, value in found.rounds.get("canary", ())]
    if canary:
        median, worst = statistics.median(canary), max(canary)
        said.append(f"The canary took {units.ratio(median)} its best time as a rule, {units.ratio(worst)} at worst.")
    temperatures = [value for _, series in found.loads.get("temperature_c", ()) for _, value in series]
    if temperatures:
        said.append(
            f"Under load it was {units.digits(min(temperatures))} to {units.digits(max(temperatures))} °C warm."
        )
    reasons = sorted({reason for *_, reason in found.marks})
    said.append(
        f"Clocks were held back by {units.listing(reasons)}."
        if reasons
        else "No throttling was reported."
        if clocks or found.loads
        else ""
    )
    return " ".join(filter(None, said)) or "Readings beside the rounds only."
