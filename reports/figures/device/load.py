"""The device under load: utilisation, power, clocks and temperature over time, and energy per call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reports import style, units
from reports.figures.figure import AXIS_WORDS, Figure, ends, numbers
from reports.figures.marks import lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from harness.records import Record, Telemetry
    from reports.figures.sweep import Sweep

# The series that are drawn, with what their axis says; others (each core by itself) stand in the numbers as means.
SERIES_WORDS = {
    "gpu_utilization": "GPU busy, share",
    "memory_utilization": "memory busy, share",
    "cpu_utilization": "CPU busy, share",
    "power_w": "power, W",
    "clock_mhz": "SM clock, MHz",
    "memory_clock_mhz": "memory clock, MHz",
    "frequency_mhz": "CPU frequency, MHz",
    "temperature_c": "temperature, °C",
    "process_cores": "cores used by the process",
}
# Gaps in throttling shorter than this share of a load can't be seen in its figure.
GAP_SHOWN = 0.02
# What the sentence below a figure quotes.
SPOKEN = {
    "gpu_utilization": "The GPU was busy",
    "power_w": "Watts drawn:",
    "process_cores": "Cores' worth of time that the process got:",
}


def load_series(records: Sequence[Record], colors: dict[str, style.Appearance], *, key: str, run: str) -> Figure | None:
    """Draw every telemetry series of the largest case of each implementation; None if nothing was recorded."""
    loads = _largest(records)
    names = sorted(
        {name for load in loads.values() for name, series in load.series.items() if series} & set(SERIES_WORDS)
    )
    if not names:
        return None
    title = "The device under sustained load"
    finding = " ".join([*_spans(loads), _throttling(loads)])
    words = units.listing([SERIES_WORDS[name] for name in names])
    return Figure(
        id=f"device-{key}",
        title=f"{title}{f', {run}' if run else ''}",
        svg=style.to_svg(
            draw_loads(loads, names, colors),
            prefix=f"device-{key}",
            alt=f"{title}: {words} over time, one line per implementation. {finding}",
            colors=colors,
        ),
        alt=title,
        how="The largest case of each implementation, called again and again for seconds, so that the sensors' "
        "averaging has settled. A clock that falls at constant utilisation means throttling; stretches that the driver "
        "reports as throttled are underlaid in red."
        + (" The dashed line is the idle power." if "power_w" in names and _has_idle(loads) else ""),
        finding=finding,
        columns=("implementation", "figure", "value"),
        rows=_rows(loads),
        wide=True,
    )


def draw_loads(loads: Mapping[str, Telemetry], names: Sequence[str], colors: Mapping[str, style.Appearance]) -> Drawing:
    """Draw a panel for each named series, with a line for each implementation."""
    rows = (len(names) + 1) // 2
    drawing, grid = style.canvas(
        inches=(style.WIDE[0], max(2.6, 1.0 + 0.16 * len(loads)) * rows), rows=rows, columns=2, squeeze=False
    )
    for axes, name in zip(grid.flat, names, strict=False):
        _draw_panel(axes, name, loads, colors)
    for axes in list(grid.flat)[len(names) :]:
        axes.set_axis_off()
    return drawing


def _draw_panel(axes: Axes, name: str, loads: Mapping[str, Telemetry], colors: Mapping[str, style.Appearance]) -> None:
    """Draw one series of each implementation over time, throttled stretches underlaid."""
    last = {}
    for implementation, load in loads.items():
        series = load.series.get(name, [])
        if not series:
            continue
        axes.plot(*zip(*series, strict=True), color=colors[implementation].color, linewidth=1.3)
        _throttled(axes, series, load.throttle_spans)
        idle = load.summary.get("idle_power_w")
        if name == "power_w" and idle is not None:
            axes.axhline(idle, color=style.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        last[implementation] = series[-1]
    axes.set_xlabel("seconds of sustained load")
    axes.set_ylabel(SERIES_WORDS[name])
    if name.endswith("utilization"):
        axes.set_ylim(0, 1.05)
    style.label_ends(axes, last, colors)


def _rows(loads: Mapping[str, Telemetry]) -> tuple[tuple[str, ...], ...]:
    """Tabulate what each load came to, then when its clocks were held back."""
    ordered = sorted(loads.items())
    figures = [
        (implementation, *units.sensor(name, value))
        for implementation, load in ordered
        for name, value in sorted(load.summary.items())
    ]
    return (*figures, *((implementation, *told) for implementation, load in ordered for told in throttle_facts(load)))


def _largest(records: Sequence[Record]) -> dict[str, Telemetry]:
    """Return the load of the case with most operations of each implementation, among those with series."""
    largest: dict[str, tuple[int, Telemetry]] = {}
    for record in records:
        if not record.telemetry or not record.telemetry.series:
            continue
        operations = record.counts.operations if record.counts else 0
        known = largest.get(record.case.implementation)
        if known is None or operations > known[0]:
            largest[record.case.implementation] = (operations, record.telemetry)
    return {implementation: load for implementation, (_, load) in largest.items()}


def throttle_facts(telemetry: Telemetry) -> list[tuple[str, str]]:
    """Say for each reason of throttling how long it held, from when to when."""
    told = []
    for reason in sorted({reason for *_, reason in telemetry.throttle_spans}):
        mine = [(first, last) for first, last, name in telemetry.throttle_spans if name == reason]
        held = sum(last - first for first, last in mine)
        span = f"{mine[0][0]:.1f} s to {max(last for _, last in mine):.1f} s"
        pieces = f", {units.digits(held, significant=2)} s in {len(mine)} stretches" if len(mine) > 1 else ""
        told.append((f"clocks held back: {reason}", f"{span}{pieces}"))
    return told


def _throttled(axes: Axes, series: Sequence[tuple[float, float]], spans: Sequence[tuple[float, float, str]]) -> None:
    """Underlay the stretches of a line in which clocks were held back."""
    times, values = np.array(series).T
    gap = (times[-1] - times[0]) * GAP_SHOWN
    joined: list[tuple[float, float]] = []
    for first, last, _ in spans:
        if joined and first <= joined[-1][1] + gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    for first, last in joined:
        inside = times[(times > first) & (times < last)]
        stretch = np.array([first, *inside, last])
        axes.plot(stretch, np.interp(stretch, times, values), color=style.ALARM, linewidth=5, alpha=0.45, zorder=1.5,
                  solid_capstyle="butt", marker="|" if first == last else "", markersize=9)  # fmt: skip


def _has_idle(loads: Mapping[str, Telemetry]) -> bool:
    return any("idle_power_w" in load.summary for load in loads.values())


def _spans(loads: Mapping[str, Telemetry]) -> list[str]:
    """Say in which span each drawn figure's means lie, over implementations."""
    said = []
    for name, words in SPOKEN.items():
        found = {implementation: load.summary[name] for implementation, load in loads.items() if name in load.summary}
        if found:
            low, high = min(found, key=lambda key: found[key]), max(found, key=lambda key: found[key])
            write = units.percent if name.endswith("utilization") else units.digits
            if write(found[low]) == write(found[high]):
                said.append(f"{words} {write(found[high])} for all.")
            else:
                said.append(f"{words} {write(found[low])} ({low}) to {write(found[high])} ({high}).")
    return said


def _throttling(loads: Mapping[str, Telemetry]) -> str:
    reasons = sorted({reason for load in loads.values() for reason in load.throttle})
    return f"Clocks were held back by {units.listing(reasons)}." if reasons else "No throttling was reported."


def energy(sweep: Sweep, colors: dict[str, style.Appearance]) -> Figure | None:
    """Draw joules per call against the swept size; None if fewer than two sizes have an energy."""
    if sweep.axis is None:
        return None
    rows = sweep.sorted_by_axis().dropna(subset=["energy_j"])
    rows = rows[rows["energy_j"] > 0]
    if rows[sweep.axis].nunique() < 2:  # noqa: PLR2004
        return None
    drawing, axes = style.canvas()
    lines(axes, rows, sweep.axis, "energy_j", colors)
    style.size_axis(axes.xaxis, rows[sweep.axis], label=AXIS_WORDS.get(sweep.axis, sweep.axis))
    style.quantity_axis(
        axes.yaxis,
        rows["energy_j"],
        lambda value: units.count(value, "J", write=units.short) if value >= 1 else f"{units.short(value * 1e3)} mJ",
        label="joules per call",
    )
    style.label_ends(axes, ends(rows, sweep.axis, "energy_j"), colors)
    largest = rows[rows[sweep.axis] == rows[sweep.axis].max()].sort_values("energy_j")
    first, last = largest.iloc[0], largest.iloc[-1]
    columns, table = numbers(rows, sweep.axis, [("joules", "energy_j", units.plain), ("watts", "power_w", units.plain)])
    title = f"Energy against {AXIS_WORDS.get(sweep.axis, sweep.axis)}"
    return Figure(
        id=f"energy-{sweep.key}",
        title=title,
        svg=style.to_svg(
            drawing,
            prefix=f"energy-{sweep.key}",
            alt=f"{title}; {sweep.conditions}. {first['implementation']} needs least at the largest size.",
            colors=colors,
        ),
        alt=title,
        how="Joules per call under sustained load: power times time. Lower is better.",
        finding=f"At {sweep.axis} = {units.plain(first[sweep.axis])} {first['implementation']} needs "
        f"{units.digits(first['energy_j'])} J"
        + (f", {last['implementation']} {units.digits(last['energy_j'])} J." if len(largest) > 1 else "."),
        columns=columns,
        rows=table,
    )
