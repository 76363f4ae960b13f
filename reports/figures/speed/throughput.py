"""Throughput: operations per second against a size, with what others published for the same device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import published, style, units
from reports.figures.figure import AXIS_WORDS, Figure, ends, numbers, top
from reports.figures.marks import lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.figure import Figure as Drawing

    from reports.figures.marks import Looks
    from reports.figures.sweep import Sweep
    from reports.published import Published

# Follows the name of a published figure, in drawings and tables.
PUBLISHED_MARK = "†"


def throughput(sweep: Sweep, colors: Looks, *, machine: str = "") -> Figure | None:
    """Draw operations per second against the swept size; None if operations are unknown.

    Figures that others published for `machine` are laid over, at the sweep's other sizes and inside its range.
    """
    if sweep.axis is None:
        return None
    axis = sweep.axis
    rows = sweep.sorted_by_axis().dropna(subset=["tflops"])
    if rows.empty:
        return None
    rows, shared = (table.assign(rate=table["tflops"] * 1e12) for table in (rows, sweep.shared))
    others = published.beside(rows, axis, machine=machine)
    title, name = f"Throughput against {AXIS_WORDS.get(axis, axis)}", f"throughput-{sweep.key}"
    beside = f" {_beside_finding(rows, axis, others)}" if others else ""
    best = top(rows, "rate")
    columns, table = _numbers(rows, axis, others)
    return Figure(
        id=name,
        title=title,
        svg=style.to_svg(
            draw_throughput(rows, axis, colors, others=others, shared=shared),
            prefix=name,
            alt=f"{title}: lines for {units.listing(sorted(rows['implementation'].unique()))}; {sweep.conditions}."
            f"{beside} The numbers are in the table below the figure.",
            colors=colors,
        ),
        alt=title,
        how="Operations of the formula divided by the time of a call: higher is better. Both axes are logarithmic."
        + _sources(others),
        finding=f"{best['implementation']} reaches the most, {units.count(best['rate'], 'FLOP/s')} at {axis} = "
        f"{units.plain(best[axis])}.{beside}",
        columns=columns,
        rows=table,
        wide=bool(others),
    )


def draw_throughput(
    rows: pd.DataFrame,
    axis: str,
    colors: Looks,
    *,
    others: Mapping[str, Sequence[Published]],
    shared: pd.DataFrame,
) -> Drawing:
    """Draw rates as lines over a size, published ones as hollow marks; `shared` has the rates that set the scale."""
    drawing, axes = style.canvas(inches=style.WIDE if others else style.HALF)
    lines(axes, rows, axis, "rate", colors)
    named, looks = ends(rows, axis, "rate"), dict(colors)
    for number, (name, theirs) in enumerate(others.items()):
        label = f"{name} {PUBLISHED_MARK}"
        looks[label] = colors.get(name) or style.Appearance(slot=-1, color=style.INK, marker="o", filled=False)
        sizes = [float(getattr(item, axis)) for item in theirs]
        axes.plot(sizes, [item.rate for item in theirs], color=looks[label].color, linestyle=(0, (1, 2)), linewidth=1.0,
                  marker=style.MARKERS[number % len(style.MARKERS)], markerfacecolor="none", markersize=6.5,
                  markeredgecolor=looks[label].color, markeredgewidth=1.2)  # fmt: skip
        named[label] = (sizes[-1], theirs[-1].rate)
    style.size_axis(axes.xaxis, shared[axis], label=AXIS_WORDS.get(axis, axis))
    style.quantity_axis(
        axes.yaxis,
        [*shared["rate"], *(item.rate for theirs in others.values() for item in theirs)],
        lambda value: units.count(value, "FLOP/s", write=units.short),
        label="operations per second",
    )
    style.label_ends(axes, named, looks)
    return drawing


def _numbers(
    rows: pd.DataFrame, axis: str, others: Mapping[str, Sequence[Published]]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Tabulate our rates with their share of the roofline, then the published ones."""
    columns, table = numbers(
        rows,
        axis,
        [
            ("rate", "rate", lambda value: units.count(value, "FLOP/s")),
            ("of the roofline", "roofline_share", units.percent),
        ],
    )
    return columns, table + tuple(
        (f"{name} {PUBLISHED_MARK}", units.plain(getattr(item, axis)), units.count(item.rate, "FLOP/s"), "")
        for name, theirs in others.items()
        for item in theirs
    )


def _sources(others: Mapping[str, Sequence[Published]]) -> str:
    """Name where the published marks of a figure come from, nothing if there are none."""
    if not others:
        return ""
    of_source: dict[str, list[str]] = {}
    for name, theirs in others.items():
        for item in theirs:
            names = of_source.setdefault(item.source, [])
            names += [name] if name not in names else []
    said = "; ".join(f"{units.listing(names)}: {source}" for source, names in of_source.items())
    return (
        f" Hollow marks ({PUBLISHED_MARK}) are what others published for this device, at batches and heads of their "
        f"own: {said}."
    )


def _beside_finding(rows: pd.DataFrame, axis: str, others: Mapping[str, Sequence[Published]]) -> str:
    """Say what share of the published rates was reached: of an implementation's own, else of the highest.

    The largest size that both have counts.
    """
    own = [name for name in others if name in set(rows["implementation"])]
    said = []
    for name in own or sorted(others, key=lambda name: -max(item.rate for item in others[name]))[:1]:
        at_size = {float(getattr(item, axis)): item for item in others[name]}
        here = rows[rows[axis].isin(list(at_size)) & ((rows["implementation"] == name) | (not own))]
        if here.empty:
            continue
        best = top(here[here[axis] == here[axis].max()], "rate")
        item = at_size[float(best[axis])]
        said.append(
            f"At {axis} = {units.plain(best[axis])} {best['implementation']} reaches "
            f"{units.percent(float(best['rate']) / item.rate)} of the {units.count(item.rate, 'FLOP/s')} published for "
            f"{name}."
        )
    return " ".join(said) or "Figures published for this device lie at sizes that were not measured here."
