"""The steps of a module: each one's share of the operations and of the time, stacked by size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.verdicts.descriptions import LINEAR_PHASES, QUADRATIC_PHASES
from reports import style, units
from reports.figures.figure import AXIS_WORDS, Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.records import Record
    from reports.figures.sweep import Sweep

# Implementations named so time one step of a whole by itself.
STEP = "phase/"
# Steps in the order of the work, each with its colour in every figure, neighbours far apart.
STEPS = {"projections": 0, "scores": 5, "softmax": 2, "weighted sum": 3, "output": 8, "output projection": 8}
# Colours of other steps.
BAND_SLOTS = (10, 1, 7, 4, 6, 9, 11)
# The implementations that time the steps linear in n, and those of attention, quadratic in it; softmax, which published
# counts leave out, takes time as well.
LINEAR_STEPS = tuple(STEP + name.replace(" ", "-") for name in LINEAR_PHASES)
QUADRATIC_STEPS = tuple(STEP + name.replace(" ", "-") for name in (*QUADRATIC_PHASES, "softmax"))


def phases(records: Sequence[Record], axis: str, *, key: str, conditions: str) -> Figure | None:
    """Draw each phase's share of the operations, stacked by size; None if phases were counted at fewer than two sizes.

    `records` are of one implementation and one sweep.
    """
    counted = [
        record for record in records if record.counts and len(record.counts.phases) > 1 and record.case.point.get(axis)
    ]
    if len({record.case.point[axis] for record in counted}) < 2:  # noqa: PLR2004
        return None
    counted.sort(key=lambda record: float(str(record.case.point[axis])))
    sizes = [float(str(record.case.point[axis])) for record in counted]
    import pandas as pd

    counts = pd.DataFrame([record.counts.phases if record.counts else {} for record in counted], index=sizes).fillna(0)
    shares = counts.div(counts.sum(axis=1), axis=0)
    title = f"Operations of {counted[0].case.implementation} by step, against {AXIS_WORDS.get(axis, axis)}"
    first, last = shares.iloc[0], shares.iloc[-1]
    change = (
        f"{first.idxmax()} takes most at {axis} = {units.plain(sizes[0])} ({units.percent(float(first.max()))}), "
        f"{last.idxmax()} at {units.plain(sizes[-1])} ({units.percent(float(last.max()))})."
    )
    name = f"phases-{key}"
    alt = f"{title}, stacked shares of operations; {conditions}. {change}"
    return Figure(
        id=name,
        title=title,
        svg=_stack(shares, axis=axis, label="share of operations", prefix=name, alt=alt),
        alt=title,
        how="The operations of one call split by step, stacked to 100 %. Where bands change places, another step "
        "starts to dominate.",
        finding=change,
        columns=(axis, *(str(name) for name in shares.columns)),
        rows=tuple(
            (units.plain(size), *(units.percent(float(value)) for value in row))
            for size, row in zip(sizes, shares.to_numpy(), strict=True)
        ),
    )


def step_times(sweep: Sweep, steps: pd.DataFrame) -> Figure | None:
    """Draw the times of separately measured steps stacked by size; None if fewer than two steps were timed."""
    if sweep.axis is None or steps["implementation"].nunique() < 2:  # noqa: PLR2004
        return None
    wide = steps.pivot_table(index=sweep.axis, columns="implementation", values="time_s", aggfunc="median").dropna()
    if len(wide) < 2:  # noqa: PLR2004
        return None
    met = crossover(wide) if sweep.axis == "n" else None
    wide.columns = [str(name).removeprefix(STEP).replace("-", " ") for name in wide.columns]
    shares = wide.div(wide.sum(axis=1), axis=0)
    axis, sizes = sweep.axis, [float(size) for size in wide.index]
    name = f"steps-{sweep.key}"
    most_first, most_last = str(shares.iloc[0].idxmax()), str(shares.iloc[-1].idxmax())
    finding = (
        f"{most_first} takes most of the time at {axis} = {units.plain(sizes[0])} "
        f"({units.percent(float(shares.iloc[0].max()))}), {most_last} at {units.plain(sizes[-1])} "
        f"({units.percent(float(shares.iloc[-1].max()))})."
    )
    if met is not None and len(set(steps["width"])) == 1:
        width = float(steps["width"].iloc[0])
        finding += (
            f" Scores, softmax and weighted sum overtake the projections at about n = {met:.0f}; by operations, "
            f"softmax apart, at n = 2 D = {units.plain(2 * width)}."
        )
    title = f"Measured time of each step against {AXIS_WORDS.get(axis, axis)}"
    return Figure(
        id=name,
        title=title,
        svg=_stack(shares, axis=axis, label="share of time", prefix=name, alt=f"{title}, stacked shares. {finding}"),
        alt=title,
        how="Each step was timed by itself; bands are its share of their sum. Where bands change places, another step "
        "starts to dominate.",
        finding=finding,
        columns=(axis, *wide.columns, "sum"),
        rows=tuple(
            (units.plain(size), *(units.seconds(float(value)) for value in row), units.seconds(float(row.sum())))
            for size, row in zip(sizes, wide.to_numpy(), strict=True)
        ),
    )


def crossover(times: pd.DataFrame) -> float | None:
    """Return the n from which attention's steps take longer than the projections, None if they never meet.

    `times` are seconds, a row for each n, a column for each step. The point between two sizes is found on logarithms.
    """
    if not {*LINEAR_STEPS, *QUADRATIC_STEPS} <= set(times.columns):
        return None
    quadratic, linear = (times[list(steps)].sum(axis=1).to_numpy(float) for steps in (QUADRATIC_STEPS, LINEAR_STEPS))
    ratio, sizes = np.log(quadratic / linear), np.log(times.index.to_numpy(float))
    above = np.flatnonzero((ratio[:-1] < 0) & (ratio[1:] >= 0))
    if not len(above):
        return None
    i = int(above[0])
    return float(np.exp(sizes[i] - ratio[i] * (sizes[i + 1] - sizes[i]) / (ratio[i + 1] - ratio[i])))


def _stack(shares: pd.DataFrame, *, axis: str, label: str, prefix: str, alt: str) -> str:
    """Draw shares (columns) stacked to 100 % over sizes (index), each band named at its right end."""
    drawing, axes = style.canvas()
    sizes = [float(size) for size in shares.index]
    known = [name for name in STEPS if name in shares.columns]
    shares = shares[[*known, *(name for name in shares.columns if name not in STEPS)]]
    looks, ends, level = {}, {}, 0.0
    for index, name in enumerate(shares.columns):
        slot = STEPS.get(name, BAND_SLOTS[(index - len(known)) % len(BAND_SLOTS)])
        looks[name] = style.Appearance(slot=slot, color=style.PALETTE[slot][0], marker="o", filled=True)
        ends[name] = (sizes[-1], level + float(shares[name].iloc[-1]) / 2)
        level += float(shares[name].iloc[-1])
    tones = [looks[name].color for name in shares.columns]
    axes.stackplot(sizes, *(shares[name] for name in shares.columns), colors=tones, alpha=0.85, linewidth=0)
    style.size_axis(axes.xaxis, sizes, label=AXIS_WORDS.get(axis, axis))
    axes.set_ylim(0, 1)
    axes.set_xlim(sizes[0], sizes[-1])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_ylabel(label)
    style.label_ends(axes, ends, looks)
    return style.to_svg(drawing, prefix=prefix, alt=alt, colors=looks)
