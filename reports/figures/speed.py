"""Speed: speed-up against the baseline, the roofline with measured ceilings, phases, and published figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from reports import style, units
from reports.figures.figure import AXIS_WORDS, Figure, top
from reports.figures.scaling import cloud, sampled

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.records import Ceiling, Record
    from reports.figures.figure import Sweep

Looks = dict[str, style.Look]
# Colour of the heat map ends at a factor of eight; beyond it the written number tells.
SPEED_UP_LIMIT = 3.0
# Colours of stacked bands, neighbours far apart.
BAND_SLOTS = (0, 5, 2, 3, 8, 10, 1, 7)
# What makes a case the same for two implementations.
# The steps of a multi-head module that are linear in n, and those of attention, quadratic in it.
LINEAR_STEPS = ("phase/projections", "phase/output")
QUADRATIC_STEPS = ("phase/scores", "phase/softmax", "phase/weighted-sum")
MATCH = ["run", "scenario", "problem", "dtype", "device", "direction", "cache"]


def speed_ups(table: pd.DataFrame, *, baseline: str) -> pd.DataFrame:
    """Add `speed_up` with `speed_up_low` and `speed_up_high` to the ok rows that have a baseline at the same point.

    A speed-up is baseline median / median. Its interval combines both cases' intervals as independent, on a log scale.
    """
    import pandas as pd

    from reports.frame import AXES

    ok = table[table["status"] == "ok"]
    keys = [*MATCH, *AXES]
    # NaN never equals NaN in a merge of objects; text does.
    comparable = ok.assign(**{name: ok[name].map(str) for name in AXES})
    base = comparable[comparable["implementation"] == baseline]
    base = base.drop_duplicates(keys)[[*keys, "median_s", "low_s", "high_s"]]
    joined = comparable.merge(base, on=keys, suffixes=("", "_base"))
    joined["speed_up"] = joined["median_s_base"] / joined["median_s"]
    own_down, own_up = np.log(joined["median_s"] / joined["low_s"]), np.log(joined["high_s"] / joined["median_s"])
    base_down = np.log(joined["median_s_base"] / joined["low_s_base"])
    base_up = np.log(joined["high_s_base"] / joined["median_s_base"])
    joined["speed_up_low"] = joined["speed_up"] * np.exp(-np.hypot(own_up, base_down))
    joined["speed_up_high"] = joined["speed_up"] * np.exp(np.hypot(own_down, base_up))
    same = joined["implementation"] == baseline
    joined.loc[same, ["speed_up_low", "speed_up_high"]] = 1.0
    for name in AXES:
        joined[name] = (
            joined[name] if name in {"causal", "valid_lens"} else pd.to_numeric(joined[name], errors="coerce")
        )
    return joined


def speed_up(sweep: Sweep, *, baseline: str) -> Figure | None:
    """Draw speed-ups over a sweep as a heat map; None where the baseline was not timed."""
    if sweep.axis is None:
        return None
    joined = speed_ups(sweep.table, baseline=baseline)
    if joined.empty or joined["implementation"].nunique() < 2:  # noqa: PLR2004  (one is compared with another)
        return None
    import seaborn as sns

    wide = joined.pivot_table(index="implementation", columns=sweep.axis, values="speed_up", aggfunc="median")
    wide = wide.loc[wide.iloc[:, -1].sort_values(ascending=False).index]
    many = len(wide.columns)
    height = 0.9 + 0.3 * len(wide)
    drawing, axes = style.canvas(inches=(style.WIDE[0], height))
    palette = sns.blend_palette(["#e9b384", "#f6f2ec", "#7fb6dc"], as_cmap=True)
    sns.heatmap(
        np.log2(wide), ax=axes, cmap=palette, vmin=-SPEED_UP_LIMIT, vmax=SPEED_UP_LIMIT, cbar=False, linewidths=1.5,
        linecolor=style.PAPER, annot=[[_short(value) for value in row] for row in wide.to_numpy()], fmt="",
        annot_kws={"size": style.FONT_POINTS if many < 12 else style.FONT_POINTS - 0.8, "color": "#20262c"},  # noqa: PLR2004
    )  # fmt: skip
    axes.grid(visible=False)
    axes.set_xticklabels([units.plain(float(size)) for size in wide.columns], rotation=0)
    axes.set_yticklabels([style.clipped(str(name)) for name in wide.index], rotation=0, color=style.INK)
    axes.set_xlabel(AXIS_WORDS.get(sweep.axis, sweep.axis))
    axes.set_ylabel("")
    title = f"Speed-up over {baseline} against {AXIS_WORDS.get(sweep.axis, sweep.axis)}"
    ordered = joined.sort_values(["implementation", sweep.axis]).to_dict("records")
    return Figure(
        id=f"speed-up-{sweep.key}",
        title=title,
        svg=style.to_svg(
            drawing,
            prefix=f"speed-up-{sweep.key}",
            alt=f"Heat map. {title}; {sweep.conditions}. The numbers are in the table below the figure.",
            colors={},
        ),
        alt=title,
        how=f"Each cell is the median time of {baseline} divided by that of the row, at one size. Blue is faster than "
        "the baseline, orange slower; empty cells did not run. The quickest at the largest size is on top.",
        finding=_speed_finding(joined, sweep.axis, baseline),
        columns=("implementation", sweep.axis, f"speed-up over {baseline}", "95 % from", "to"),
        rows=tuple(
            (
                str(row["implementation"]),
                units.plain(row[sweep.axis]),
                units.ratio(row["speed_up"]),
                units.ratio(row["speed_up_low"]),
                units.ratio(row["speed_up_high"]),
            )
            for row in ordered
        ),
        wide=True,
    )


def roofline(table: pd.DataFrame, ceilings: Sequence[Ceiling], colors: Looks, *, dtype: str, key: str) -> Figure | None:
    """Draw rate against operations a byte under the measured ceilings; None without ceilings or counts."""
    rate = rate_ceiling(ceilings, dtype)
    bandwidth = next((ceiling for ceiling in ceilings if ceiling.unit == "B/s"), None)
    rows = table[(table["status"] == "ok") & (table["dtype"] == dtype)].dropna(subset=["operations", "ideal_bytes"])
    rows = rows[(rows["ideal_bytes"] > 0) & (rows["best_s"] > 0) & (rows["operations"] > 0)]
    if rows.empty or rate is None or bandwidth is None:
        return None
    rows = rows.assign(intensity=rows["operations"] / rows["ideal_bytes"], rate=rows["operations"] / rows["best_s"])
    drawing, axes = style.canvas(inches=(style.WIDE[0], 3.9))
    low, high = float(rows["intensity"].min()) / 2, float(rows["intensity"].max()) * 2
    bend = rate.value / bandwidth.value
    corners = sorted({low, min(max(bend, low), high), high})
    axes.plot(
        corners,
        [min(rate.value, bandwidth.value * x) for x in corners],
        color=style.INK,
        linewidth=1.4,
        solid_capstyle="butt",
    )
    cloud(axes, rows, "intensity", "rate", colors)
    style.quantity_axis(
        axes.xaxis,
        [low, high],
        lambda value: units.count(value, "", write=units.short),
        label="operations a byte (of ideal traffic)",
    )
    style.quantity_axis(
        axes.yaxis,
        [*rows["rate"], rate.value],
        lambda value: units.count(value, "FLOP/s", write=units.short),
        label="operations a second",
    )
    axes.annotate(
        f"{rate.name}: {units.count(rate.value, 'FLOP/s')}", xy=(high, rate.value), xytext=(-2, 4), ha="right",
        va="bottom", textcoords="offset points", color=style.INK,
    )  # fmt: skip
    tops = {
        str(name): (float(top(group, "rate")["intensity"]), float(group["rate"].max()))
        for name, group in rows.groupby("implementation")
    }
    style.label_ends(axes, tops, colors)
    shares: pd.Series[float] = (
        (rows["rate"] / np.minimum(rate.value, bandwidth.value * rows["intensity"]))
        .groupby(rows["implementation"])
        .max()
    )
    shares = shares.sort_values(ascending=False)
    title = f"Roofline, {dtype}"
    sheet = f", datasheet {units.count(rate.datasheet, rate.unit)}" if rate.datasheet else ""
    return Figure(
        id=f"roofline-{key}-{dtype}",
        title=title,
        svg=style.to_svg(
            drawing,
            prefix=f"roofline-{key}-{dtype}",
            alt=f"{title}: achieved rate of every case under the measured ceilings of "
            f"{units.count(rate.value, 'FLOP/s')} and {units.count(bandwidth.value, 'B/s')}. The best share of each "
            "implementation is in the table below the figure.",
            colors=colors,
        ),
        alt=title,
        how="Each point is a case: how many operations it does for each byte that must move, and the rate it reached, "
        f"from its best samples. The line is what the machine can do: flat, the best matrix product measured here "
        f"({rate.how}{sheet}); sloped, the measured {bandwidth.name} of {units.count(bandwidth.value, 'B/s')}. Tensors "
        "that stay in a cache may move faster than the slope." + sampled(rows),
        finding=f"{shares.index[0]} comes closest, with {units.percent(float(shares.iloc[0]))} of the line"
        + (
            f"; {shares.index[-1]} reaches {units.percent(float(shares.iloc[-1]))} at best." if len(shares) > 1 else "."
        ),
        columns=("implementation", "best share of the roofline"),
        rows=tuple((str(name), units.percent(float(value))) for name, value in shares.items()),
        wide=True,
    )


def rate_ceiling(ceilings: Sequence[Ceiling], dtype: str) -> Ceiling | None:
    """Return the ceiling of the matrix-product rate that holds for a dtype, None where none was measured."""
    rates = [ceiling for ceiling in ceilings if ceiling.unit == "FLOP/s"]
    return next((ceiling for ceiling in rates if dtype in ceiling.name), None)


def phases(records: Sequence[Record], axis: str, *, key: str, conditions: str) -> Figure | None:
    """Draw each phase's share of the operations, stacked by size; None where fewer than two phases were counted.

    `records` are of one implementation and one sweep.
    """
    counted = [
        record for record in records if record.counts and len(record.counts.phases) > 1 and record.case.point.get(axis)
    ]
    if len(counted) < 2:  # noqa: PLR2004
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
    """Draw the times of separately measured steps stacked by size; None where fewer than two steps were timed."""
    if sweep.axis is None or steps["implementation"].nunique() < 2:  # noqa: PLR2004
        return None
    wide = steps.pivot_table(index=sweep.axis, columns="implementation", values="median_s", aggfunc="median").dropna()
    if len(wide) < 2:  # noqa: PLR2004
        return None
    met = crossover(wide) if sweep.axis == "n" else None
    wide.columns = [str(name).split("/", 1)[-1].replace("-", " ") for name in wide.columns]
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
    """Return the n from which attention's steps take longer than the projections, None where they never meet.

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
    tones = [style.PALETTE[slot][0] for slot in BAND_SLOTS]
    looks, ends, level = {}, {}, 0.0
    for index, name in enumerate(shares.columns):
        slot = BAND_SLOTS[index % len(BAND_SLOTS)]
        looks[name] = style.Look(slot=slot, color=style.PALETTE[slot][0], marker="o", filled=True)
        ends[name] = (sizes[-1], level + float(shares[name].iloc[-1]) / 2)
        level += float(shares[name].iloc[-1])
    used = [tones[index % len(tones)] for index in range(len(shares.columns))]
    axes.stackplot(sizes, *(shares[name] for name in shares.columns), colors=used, alpha=0.85, linewidth=0)
    style.size_axis(axes.xaxis, sizes, label=AXIS_WORDS.get(axis, axis))
    axes.set_ylim(0, 1)
    axes.set_xlim(sizes[0], sizes[-1])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_ylabel(label)
    style.label_ends(axes, ends, looks)
    return style.to_svg(drawing, prefix=prefix, alt=alt, colors=looks)


def _short(value: float) -> str:
    return "" if math.isnan(value) else units.digits(value, significant=2 if value < 100 else 3)  # noqa: PLR2004


def _speed_finding(joined: pd.DataFrame, axis: str, baseline: str) -> str:
    largest = joined[(joined[axis] == joined[axis].max()) & (joined["implementation"] != baseline)]
    if largest.empty:
        return f"At the largest size only {baseline} ran."
    best = top(largest, "speed_up")
    span = ""
    if not units.absent(best["speed_up_low"]):
        span = f" (95 %: {units.digits(best['speed_up_low'])} to {units.digits(best['speed_up_high'])})"
    faster = int((largest["speed_up_low"] > 1).sum())
    if best["speed_up"] <= 1:
        return (
            f"At {axis} = {units.plain(best[axis])} nothing is faster than {baseline}; {best['implementation']} comes "
            f"closest, at {units.ratio(best['speed_up'])}{span} of its speed."
        )
    return (
        f"At {axis} = {units.plain(best[axis])} {best['implementation']} is {units.ratio(best['speed_up'])}{span} as "
        f"fast as {baseline}; {faster} of {len(largest)} implementations are faster beyond their intervals."
    )
