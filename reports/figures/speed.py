"""Speed: speed-up against the baseline, the roofline with measured ceilings, phases, and published figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from reports import published, style, units
from reports.figures.figure import AXIS_WORDS, Figure, ends, numbers, top
from reports.figures.marks import cloud, lines, sampled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from harness.policy import ComparisonPolicy
    from harness.records import Ceiling, Record
    from reports.figures.figure import Sweep
    from reports.pairs import Pair
    from reports.published import Published

Looks = dict[str, style.Look]
# Colour of the heat map ends at a factor of eight; beyond it the written number tells.
SPEED_UP_LIMIT = 3.0
# Steps in the order of the work, each with its colour in every figure, neighbours far apart.
STEPS = {"projections": 0, "scores": 5, "softmax": 2, "weighted sum": 3, "output": 8, "output projection": 8}
# Colours of other steps.
BAND_SLOTS = (10, 1, 7, 4, 6, 9, 11)
# Columns that a comparison of paired rounds replaces, with where it holds them.
PAIR_COLUMNS = {
    "speed_up": "speed_up",
    "speed_up_low": "low",
    "speed_up_high": "high",
    "outcome": "outcome",
    "rounds": "rounds",
}
# How a heat map marks what is not told apart, and what a table calls it.
MARKS: dict[object, str] = {"same": "≈", "undecided": "?"}
OUTCOME_WORDS = {"faster": "faster", "slower": "slower", "same": "the same", "undecided": "not told apart"}
# More rows than this make no small figure; the table below it has all of them.
BURSTS_AT_MOST = 24
# Follows the name of a published figure, in drawings and tables.
PUBLISHED_MARK = "†"
# The steps of a multi-head module that are linear in n, and those of attention, quadratic in it.
LINEAR_STEPS = ("phase/projections", "phase/output")
QUADRATIC_STEPS = ("phase/scores", "phase/softmax", "phase/weighted-sum")
# What makes a case the same for two implementations.
MATCH = ["run", "scenario", "problem", "dtype", "device", "direction", "cache"]


def speed_ups(table: pd.DataFrame, *, baseline: str, pairs: Mapping[str, Pair] | None = None) -> pd.DataFrame:
    """Add columns of speed-up to the ok rows that have a baseline at their point.

    They are `speed_up` with `speed_up_low` and `speed_up_high`, `outcome` and `rounds`.

    `pairs` has comparisons of paired rounds by case id. Without one a speed-up is baseline median / median, `rounds`
    is 0, and the interval combines both cases' own as independent, on a log scale. `outcome` says whether the two are
    told apart: faster, slower, same, undecided, or baseline.
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
    joined["outcome"] = np.select(
        [joined["speed_up_low"] > 1, joined["speed_up_high"] < 1], ["faster", "slower"], "undecided"
    )
    joined["rounds"] = 0.0
    known = [(pairs or {}).get(name) for name in joined["id"]]
    compared = [pair is not None for pair in known]
    for column, field in PAIR_COLUMNS.items() if any(compared) else ():
        joined.loc[compared, column] = [getattr(pair, field) for pair in known if pair is not None]
    same = joined["implementation"] == baseline
    joined.loc[same, ["speed_up", "speed_up_low", "speed_up_high"]] = 1.0
    joined.loc[same, "outcome"] = "baseline"
    for name in AXES:
        joined[name] = (
            joined[name] if name in {"causal", "valid_lens"} else pd.to_numeric(joined[name], errors="coerce")
        )
    return joined


def speed_up(
    sweep: Sweep, *, baseline: str, pairs: Mapping[str, Pair] | None = None, policy: ComparisonPolicy | None = None
) -> Figure | None:
    """Draw speed-ups over a sweep as a heat map; None where the baseline was not timed.

    `policy` has the constants that `pairs` were compared under.
    """
    if sweep.axis is None:
        return None
    joined = speed_ups(sweep.table, baseline=baseline, pairs=pairs)
    if joined.empty or joined["implementation"].nunique() < 2:  # noqa: PLR2004  (one is compared with another)
        return None
    import seaborn as sns

    wide = joined.pivot_table(index="implementation", columns=sweep.axis, values="speed_up", aggfunc="first")
    wide = wide.loc[wide.iloc[:, -1].sort_values(ascending=False).index]
    outcomes = joined.pivot_table(index="implementation", columns=sweep.axis, values="outcome", aggfunc="first")
    outcomes = outcomes.loc[wide.index]
    many = len(wide.columns)
    height = 0.9 + 0.3 * len(wide)
    drawing, axes = style.canvas(inches=(style.WIDE[0], height))
    palette = sns.blend_palette(["#e9b384", "#f6f2ec", "#7fb6dc"], as_cmap=True)
    words = [
        [_cell(value, outcome) for value, outcome in zip(values, told, strict=True)]
        for values, told in zip(wide.to_numpy(), outcomes.to_numpy(), strict=True)
    ]
    # What is not told apart has the colour of what is equal.
    shades = wide.map(np.log2).mask(outcomes.isin(list(MARKS)), 0.0)
    sns.heatmap(
        shades, ax=axes, cmap=palette, vmin=-SPEED_UP_LIMIT, vmax=SPEED_UP_LIMIT, cbar=False, linewidths=1.5,
        linecolor=style.PAPER, annot=words, fmt="",
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
        how=f"Each cell says how many times as fast as {baseline} the row is at one size: blue is faster, orange "
        "slower, pale not told apart, empty did not run; the quickest at the largest size is on top. "
        + _method(joined, pairs or {}, policy=policy),
        finding=_speed_finding(joined, sweep.axis, baseline),
        columns=("implementation", sweep.axis, f"speed-up over {baseline}", "95 % from", "to", "told apart", "rounds"),
        rows=tuple(
            (
                str(row["implementation"]),
                units.plain(row[sweep.axis]),
                units.ratio(row["speed_up"]),
                units.ratio(row["speed_up_low"]),
                units.ratio(row["speed_up_high"]),
                OUTCOME_WORDS[row["outcome"]],
                units.plain(row["rounds"]) if row["rounds"] else "not paired",
            )
            for row in ordered
            if row["outcome"] != "baseline"
        ),
        wide=True,
    )


def _method(joined: pd.DataFrame, pairs: Mapping[str, Pair], *, policy: ComparisonPolicy | None) -> str:
    """Say what the intervals and the marks of a heat map rest on."""
    others = joined[joined["outcome"] != "baseline"]
    rounds = others.loc[others["rounds"] > 0, "rounds"]
    said = []
    if len(rounds) and policy is not None:
        write = units.whole_percent
        span = (
            units.plain(rounds.min()) if rounds.min() == rounds.max() else f"{rounds.min():.0f} to {rounds.max():.0f}"
        )
        said.append(
            f"Compared are the quickest samples of the {span} rounds in which both took turns, with the scatter "
            f"pooled over the whole run; ≈ marks cells that are the same within {write(policy.same_within)}, ? cells "
            f"that are not told apart (at {write(policy.false_discoveries)} false discoveries, and a difference of at "
            f"least {write(policy.effect_at_least)})."
        )
        if any(pairs[name].processes == 1 for name in others["id"] if name in pairs):
            said.append(
                f"Single process: the intervals allow {write(policy.process_deviation)} for what would differ in "
                "another one."
            )
    unpaired = int((others["rounds"] == 0).sum())
    if unpaired:
        which = "All cells" if unpaired == len(others) else f"{unpaired} of {len(others)} cells"
        said.append(
            f"{which} have no two rounds in common with the baseline: there medians are divided, and both cases' own "
            "intervals combined; ? marks those whose interval contains 1."
        )
    return " ".join(said)


def _cell(value: float, outcome: object) -> str:
    return f"{_short(value)} {MARKS[outcome]}" if outcome in MARKS else _short(value)


def throughput(sweep: Sweep, colors: Looks, *, machine: str = "") -> Figure | None:
    """Draw operations a second against the swept size; None where operations are unknown.

    Figures that others published for `machine` are laid over, at the sweep's other sizes and inside its range.
    """
    if sweep.axis is None:
        return None
    axis = sweep.axis
    rows = sweep.sorted_by_axis().dropna(subset=["tflops"])
    if rows.empty:
        return None
    rows = rows.assign(rate=rows["tflops"] * 1e12)
    others = published.beside(rows, axis, machine=machine)
    drawing, axes = style.canvas(inches=style.WIDE if others else style.HALF)
    lines(axes, rows, axis, "rate", colors)
    named, looks = ends(rows, axis, "rate"), dict(colors)
    for number, (name, theirs) in enumerate(others.items()):
        label = f"{name} {PUBLISHED_MARK}"
        looks[label] = colors.get(name) or style.Look(slot=-1, color=style.INK, marker="o", filled=False)
        sizes = [float(getattr(item, axis)) for item in theirs]
        axes.plot(sizes, [item.rate for item in theirs], color=looks[label].color, linestyle=(0, (1, 2)), linewidth=1.0,
                  marker=style.MARKERS[number % len(style.MARKERS)], markerfacecolor="none", markersize=6.5,
                  markeredgecolor=looks[label].color, markeredgewidth=1.2)  # fmt: skip
        named[label] = (sizes[-1], theirs[-1].rate)
    everything = [*(sweep.shared["tflops"] * 1e12), *(item.rate for theirs in others.values() for item in theirs)]
    style.size_axis(axes.xaxis, sweep.shared[axis], label=AXIS_WORDS.get(axis, axis))
    style.quantity_axis(
        axes.yaxis,
        everything,
        lambda value: units.count(value, "FLOP/s", write=units.short),
        label="operations a second",
    )
    style.label_ends(axes, named, looks)
    best = top(rows, "rate")
    columns, table = numbers(
        rows,
        axis,
        [
            ("rate", "rate", lambda value: units.count(value, "FLOP/s")),
            ("of the roofline", "roofline_share", units.percent),
        ],
    )
    title = f"Throughput against {AXIS_WORDS.get(axis, axis)}"
    names = units.listing(sorted(rows["implementation"].unique()))
    beside = f" {_beside_finding(rows, axis, others)}" if others else ""
    return Figure(
        id=f"throughput-{sweep.key}",
        title=title,
        svg=style.to_svg(
            drawing,
            prefix=f"throughput-{sweep.key}",
            alt=f"{title}: lines for {names}; {sweep.conditions}.{beside} The numbers are in the table below the "
            "figure.",
            colors=colors,
        ),
        alt=title,
        how="Operations of the formula divided by the median time: higher is better. Both axes are logarithmic."
        + _sources(others),
        finding=f"{best['implementation']} reaches the most, {units.count(best['rate'], 'FLOP/s')} at {axis} = "
        f"{units.plain(best[axis])}.{beside}",
        columns=columns,
        rows=table
        + tuple(
            (f"{name} {PUBLISHED_MARK}", units.plain(getattr(item, axis)), units.count(item.rate, "FLOP/s"), "")
            for name, theirs in others.items()
            for item in theirs
        ),
        wide=bool(others),
    )


def _sources(others: Mapping[str, Sequence[Published]]) -> str:
    """Name where the published marks of a figure come from, nothing where there are none."""
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


def roofline(
    table: pd.DataFrame,
    ceilings: Sequence[Ceiling],
    colors: Looks,
    *,
    dtype: str,
    key: str,
    after: Sequence[Ceiling] = (),
) -> Figure | None:
    """Draw rate against operations a byte under the measured ceilings; None without ceilings or counts.

    `after` are the same ceilings measured again at the end of the run, where they were.
    """
    rate = rate_ceiling(ceilings, dtype)
    bandwidth = next((ceiling for ceiling in ceilings if ceiling.unit == "B/s"), None)
    rows = table[(table["status"] == "ok") & (table["dtype"] == dtype)].dropna(subset=["operations", "ideal_bytes"])
    rows = rows[(rows["ideal_bytes"] > 0) & (rows["best_s"] > 0) & (rows["operations"] > 0)]
    if rows.empty or rate is None or bandwidth is None or min(rate.value, bandwidth.value) <= 0:
        return None
    rows = rows.assign(intensity=rows["operations"] / rows["ideal_bytes"], rate=rows["operations"] / rows["best_s"])
    drawing, axes = style.canvas(inches=(style.WIDE[0], 3.9))
    bend = rate.value / bandwidth.value
    # The slope is in the picture even where no case is down there.
    low, high = min(float(rows["intensity"].min()), bend) / 2, float(rows["intensity"].max()) * 2
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
        f"{rate.name}: {units.count(rate.value, 'FLOP/s')}", xy=(min(bend, high), rate.value), xytext=(2, 4),
        ha="left", va="bottom", textcoords="offset points", color=style.INK,
    )  # fmt: skip
    ordered = rows.sort_values(["intensity", "rate"]).groupby("implementation").tail(1)
    rightmost = zip(ordered["implementation"], ordered["intensity"], ordered["rate"], strict=True)
    style.label_ends(axes, {str(name): (float(x), float(y)) for name, x, y in rightmost}, colors)
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
        "that stay in a cache may move faster than the slope." + _again([rate, bandwidth], after) + sampled(rows),
        finding=f"{shares.index[0]} comes closest, with {units.percent(float(shares.iloc[0]))} of the line"
        + (
            f"; {shares.index[-1]} reaches {units.percent(float(shares.iloc[-1]))} at best." if len(shares) > 1 else "."
        ),
        columns=("implementation", "best share of the roofline"),
        rows=tuple((str(name), units.percent(float(value))) for name, value in shares.items()),
        wide=True,
    )


def _again(drawn: Sequence[Ceiling], after: Sequence[Ceiling]) -> str:
    """Say what the drawn ceilings came to at the end of the run, nothing where they were not measured again."""
    later = {ceiling.name: ceiling for ceiling in after}
    said = [
        f"{ceiling.name} {units.count(later[ceiling.name].value, ceiling.unit)} "
        f"({units.change(later[ceiling.name].value / ceiling.value)})"
        for ceiling in drawn
        if ceiling.name in later
    ]
    return f" Measured again at the end of the run: {units.listing(said)}." if said else ""


def rate_ceiling(ceilings: Sequence[Ceiling], dtype: str) -> Ceiling | None:
    """Return the ceiling of the matrix-product rate that holds for a dtype, None where none was measured."""
    rates = [ceiling for ceiling in ceilings if ceiling.unit == "FLOP/s"]
    return next((ceiling for ceiling in rates if dtype in ceiling.name), None)


def bursts(records: Sequence[Record], colors: Looks, *, key: str) -> Figure | None:
    """Draw the rate of a few calls beside that of seconds of them; None where no case was loaded for long enough."""
    found = []
    for record in records:
        summary = record.telemetry.summary if record.telemetry else {}
        if record.counts and record.time and record.time.median > 0 and summary.get("sustained_flops", 0.0) > 0:
            burst = summary.get("burst_flops", record.counts.operations / record.time.median)
            found.append((record, burst, summary["sustained_flops"]))
    if not found:
        return None
    found.sort(key=lambda item: -item[2])
    drawn = found[:BURSTS_AT_MOST]
    drawing, axes = style.canvas(inches=(style.WIDE[0], 1.0 + 0.26 * len(drawn)))
    names = []
    for place, (record, burst, sustained) in enumerate(drawn):
        look = colors[record.case.implementation]
        axes.plot([burst, sustained], [place, place], color=look.color, linewidth=1.6, alpha=0.6)
        axes.plot(
            [burst], [place], color=look.color, marker="o", markersize=6, markerfacecolor="none", linestyle="none"
        )
        axes.plot([sustained], [place], color=look.color, marker="o", markersize=6, markeredgewidth=0, linestyle="none")
        names.append(style.clipped(record.case.implementation))
    axes.set_yticks(range(len(drawn)), names)
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.set_ylim(len(drawn) - 0.5, -0.5)
    style.quantity_axis(
        axes.xaxis,
        [rate for _, *rates in drawn for rate in rates],
        lambda value: units.count(value, "FLOP/s", write=units.short),
        label="operations a second",
    )
    title = "Burst and sustained throughput"
    record, burst, sustained = min(found, key=lambda item: item[2] / item[1])
    worst = record.case.implementation
    finding = f"{worst} loses most under lasting load: {units.percent(sustained / burst)} of its burst rate remain."
    if sustained >= burst:
        finding = "No implementation is slower under lasting load than in a burst."
    return Figure(
        id=f"bursts-{key}",
        title=title,
        svg=style.to_svg(
            drawing, prefix=f"bursts-{key}", alt=f"{title}: two marks an implementation. {finding}", colors=colors
        ),
        alt=title,
        how="Hollow: the rate in timing, a few calls at a time. Filled: the rate over seconds of calls without a "
        "pause, when clocks, power limits and temperature have their say. Each is the case that was loaded for long."
        + (f" The {BURSTS_AT_MOST} quickest of {len(found)} are drawn." if len(found) > len(drawn) else ""),
        finding=finding,
        columns=("implementation", "point", "dtype", "burst", "sustained", "sustained of burst"),
        rows=tuple(
            (
                record.case.implementation,
                ", ".join(f"{name} {value}" for name, value in record.case.point.items()),
                record.case.dtype,
                units.count(burst, "FLOP/s"),
                units.count(sustained, "FLOP/s"),
                units.percent(sustained / burst),
            )
            for record, burst, sustained in found
        ),
        wide=True,
    )


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
    known = [name for name in STEPS if name in shares.columns]
    shares = shares[[*known, *(name for name in shares.columns if name not in STEPS)]]
    looks, ends, level = {}, {}, 0.0
    for index, name in enumerate(shares.columns):
        slot = STEPS.get(name, BAND_SLOTS[(index - len(known)) % len(BAND_SLOTS)])
        looks[name] = style.Look(slot=slot, color=style.PALETTE[slot][0], marker="o", filled=True)
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
    told = largest["outcome"].value_counts()
    faster, slower = int(told.get("faster", 0)), int(told.get("slower", 0))
    rest = len(largest) - faster - slower
    counts = {"faster": faster, "slower": slower, "not told apart": rest}
    tally = f"of {len(largest)} others {', '.join(f'{count} {word}' for word, count in counts.items() if count)}."
    place = f"At {axis} = {units.plain(best[axis])}"
    if not faster:
        return (
            f"{place} nothing is faster than {baseline}; {best['implementation']} comes closest, at "
            f"{units.ratio(best['speed_up'])}{span} of its speed; {tally}"
        )
    return f"{place} {best['implementation']} is {units.ratio(best['speed_up'])}{span} as fast as {baseline}; {tally}"
