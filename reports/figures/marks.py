"""Marks that figures share: lines, clouds and points for each implementation, guides of an expected slope, ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reports import style, units

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from reports.figures.sweep import Sweep
    from reports.style import Appearance

Looks = dict[str, style.Appearance]
# Exponents of attention's cost along each axis: 4 * batch * heads * n^2 * d operations.
EXPECTED = {"n": 2.0, "n_q": 1.0, "n_k": 1.0, "d": 1.0, "heads": 1.0, "batch": 1.0, "width": 1.0}
# More points hide one another and swell the file.
POINTS_AT_MOST = 900


def lines(axes: Axes, table: pd.DataFrame, x: str, y: str, colors: Mapping[str, Appearance]) -> None:
    """Draw one line with markers for each implementation, in order of x."""
    for name, rows in table.dropna(subset=[x, y]).sort_values(x).groupby("implementation"):
        look = colors[str(name)]
        axes.plot(rows[x], rows[y], color=look.color, marker=look.marker, markeredgewidth=0)


def cloud(axes: Axes, table: pd.DataFrame, x: str, y: str, colors: Mapping[str, Appearance]) -> None:
    """Draw cases as unconnected points; of very many, evenly spaced ones of each implementation along x."""
    for name, rows in table.dropna(subset=[x, y]).groupby("implementation"):
        share = max(1, round(POINTS_AT_MOST * len(rows) / len(table)))
        ranked = rows.sort_values(x)
        shown = ranked.iloc[np.unique(np.linspace(0, len(ranked) - 1, min(len(ranked), share)).astype(int))]
        look = colors[str(name)]
        axes.plot(shown[x], shown[y], color=look.color, marker=look.marker, markersize=4.5, markeredgewidth=0,
                  alpha=0.75, linestyle="none")  # fmt: skip


def sampled(table: pd.DataFrame) -> str:
    """Say that a cloud shows only some of the cases, where it does."""
    many = len(table) > POINTS_AT_MOST
    return f" Of {len(table):,} cases about {POINTS_AT_MOST:,}, evenly chosen, are drawn." if many else ""


def points(axes: Axes, table: pd.DataFrame, x: str, y: str, colors: Mapping[str, Appearance]) -> None:
    """Draw markers for each implementation, without a line."""
    for name, rows in table.dropna(subset=[x, y]).groupby("implementation"):
        look = colors[str(name)]
        axes.plot(
            rows[x], rows[y], color=look.color, marker=look.marker, markersize=4, markeredgewidth=0, linestyle="none"
        )


def guide(axes: Axes, table: pd.DataFrame, axis: str, quantity: str) -> None:
    """Draw a dashed line of the expected slope a little below the lowest points."""
    drawn = table.dropna(subset=[axis, quantity])
    if drawn[axis].nunique() < 2:  # noqa: PLR2004
        return
    exponent = EXPECTED.get(axis, 1.0)
    sizes = np.array([drawn[axis].min(), drawn[axis].max()], dtype=float)
    level = float((drawn[quantity] / drawn[axis] ** exponent).min()) * 0.6
    axes.plot(sizes, level * sizes**exponent, color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)


def inside(found: dict[str, tuple[float, float]], axes: Axes) -> dict[str, tuple[float, float]]:
    """Move points that lie above or below the axes to their edge."""
    low, high = axes.get_ylim()
    return {name: (x, min(max(y, low), high)) for name, (x, y) in found.items()}


def axis_of(sweep: Sweep) -> str:
    """Return the axis of a sweep. Raises ValueError if it has several."""
    if sweep.axis is None:
        raise ValueError(f"scenario {sweep.scenario!r} sweeps several axes at once")
    return sweep.axis


def svg_of(drawing: Drawing, prefix: str, title: str, sweep: Sweep, colors: Looks) -> str:
    """Write a drawing of a sweep as SVG, with a text that names what it shows."""
    names = units.listing(sorted(sweep.table["implementation"].unique()))
    alt = f"{title}: lines for {names}; {sweep.conditions}. The numbers are in the table below the figure."
    return style.to_svg(drawing, prefix=prefix, alt=alt, colors=colors)


def round_seconds(value: float) -> str:
    """Write a time as briefly as a tick wants it."""
    return units.seconds(value, write=units.short)


def count_in(unit: str) -> Callable[[float], str]:
    """Return what writes a quantity in a unit."""
    return lambda value: units.count(value, unit)


def round_count_in(unit: str) -> Callable[[float], str]:
    """Return what writes a quantity in a unit as briefly as a tick wants it."""
    return lambda value: units.count(value, unit, write=units.short)
