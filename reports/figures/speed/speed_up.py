"""Speed-up over the baseline: who is faster at each size, by how much, and how surely."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from reports import style, units
from reports.figures.figure import AXIS_WORDS, Figure, top
from reports.frame import AXES, TEXT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.figure import Figure as Drawing

    from harness.policy import ComparisonPolicy
    from harness.results.pairs.paired import Pair
    from reports.figures.sweep import Sweep

# Colour of the heat map ends at a factor of eight; beyond it the written number tells.
SPEED_UP_LIMIT = 3.0
# From orange over pale to blue: slower, equal, faster.
SHADES = ("#e9b384", "#f6f2ec", "#7fb6dc")
# A heat map of more sizes has smaller words.
MANY_SIZES = 12
# One of still more has none: a cell is narrower than its words. Its labels below have so much of the width.
WORDS_AT_MOST, LABELLED_POINTS, LABEL_GAP = 18, 560.0, 8.0
# Columns that a comparison of paired rounds replaces, with where it holds them.
PAIR_COLUMNS = {
    "speed_up": "speed_up",
    "speed_up_low": "low",
    "speed_up_high": "high",
    "outcome": "outcome",
    "rounds": "rounds",
}
# What follows a speed-up that is no significant difference, and what a table calls each outcome.
MARKS: dict[object, str] = {"same": "≈", "undecided": "?"}
OUTCOME_WORDS = {"faster": "faster", "slower": "slower", "same": "the same", "undecided": "no significant difference"}
# What makes a case the same for two implementations.
MATCH = ["run", "scenario", "problem", "dtype", "device", "direction", "cache"]


def speed_ups(table: pd.DataFrame, *, baseline: str, pairs: Mapping[str, Pair] | None = None) -> pd.DataFrame:
    """Add columns of speed-up to the ok rows that have a baseline at their point.

    They are `speed_up` with `speed_up_low` and `speed_up_high`, `outcome` and `rounds`.

    `pairs` has comparisons of paired rounds by case id. Without one a speed-up is baseline time / time, `rounds`
    is 0, and the interval combines both cases' own as independent, on a log scale. `outcome` says whether they
    differ significantly: faster, slower, same, undecided, or baseline.
    """
    joined = _of_times(table, baseline=baseline)
    known = [(pairs or {}).get(name) for name in joined["id"]]
    compared = [pair is not None for pair in known]
    for column, field in PAIR_COLUMNS.items() if any(compared) else ():
        joined.loc[compared, column] = [getattr(pair, field) for pair in known if pair is not None]
    same = joined["implementation"] == baseline
    joined.loc[same, ["speed_up", "speed_up_low", "speed_up_high"]] = 1.0
    joined.loc[same, "outcome"] = "baseline"
    return joined


def _of_times(table: pd.DataFrame, *, baseline: str) -> pd.DataFrame:
    """Divide the baseline's time by that of each ok row at the same point, with an interval."""
    import pandas as pd

    ok = table[table["status"] == "ok"]
    keys = [*MATCH, *AXES]
    # NaN never equals NaN in a merge of objects; text does.
    comparable = ok.assign(**{name: ok[name].map(str) for name in AXES})
    base = comparable[comparable["implementation"] == baseline]
    base = base.drop_duplicates(keys)[[*keys, "time_s", "low_s", "high_s"]]
    joined = comparable.merge(base, on=keys, suffixes=("", "_base"))
    joined["speed_up"] = joined["time_s_base"] / joined["time_s"]
    own_down, own_up = np.log(joined["time_s"] / joined["low_s"]), np.log(joined["high_s"] / joined["time_s"])
    base_down = np.log(joined["time_s_base"] / joined["low_s_base"])
    base_up = np.log(joined["high_s_base"] / joined["time_s_base"])
    joined["speed_up_low"] = joined["speed_up"] * np.exp(-np.hypot(own_up, base_down))
    joined["speed_up_high"] = joined["speed_up"] * np.exp(np.hypot(own_down, base_up))
    joined["outcome"] = np.select(
        [joined["speed_up_low"] > 1, joined["speed_up_high"] < 1], ["faster", "slower"], "undecided"
    )
    joined["rounds"] = 0.0
    for name in AXES:
        joined[name] = (
            joined[name] if name in {"causal", *TEXT_COLUMNS} else pd.to_numeric(joined[name], errors="coerce")
        )
    return joined


def speed_up(
    sweep: Sweep, *, baseline: str, pairs: Mapping[str, Pair] | None = None, policy: ComparisonPolicy | None = None
) -> Figure | None:
    """Draw speed-ups over a sweep as a heat map; None if the baseline was not timed.

    `policy` has the constants that `pairs` were compared under.
    """
    if sweep.axis is None:
        return None
    joined = speed_ups(sweep.table, baseline=baseline, pairs=pairs)
    if joined.empty or joined["implementation"].nunique() < 2:  # noqa: PLR2004  (one is compared with another)
        return None
    axis, name = sweep.axis, f"speed-up-{sweep.key}"
    title = f"Speed-up over {baseline} against {AXIS_WORDS.get(axis, axis)}"
    alt = f"Heat map. {title}; {sweep.conditions}. The numbers are in the table below the figure."
    return Figure(
        id=name,
        title=title,
        svg=style.to_svg(
            draw_speed_up(joined, axis, sizes=sorted(sweep.table[axis].unique())), prefix=name, alt=alt, colors={}
        ),
        alt=title,
        how=f"Each cell shows how many times as fast as {baseline} the row is at one size: blue is faster, orange "
        "slower, pale no significant difference, empty was not timed, or the baseline was not; the fastest at the "
        "largest size is on top. " + _method(joined, pairs or {}, policy=policy),
        finding=_speed_finding(joined, axis, baseline),
        columns=("implementation", axis, f"speed-up over {baseline}", "95 % from", "to", "difference", "rounds"),
        rows=_rows(joined, axis),
        wide=True,
    )


def draw_speed_up(joined: pd.DataFrame, axis: str, *, sizes: Sequence[float] = ()) -> Drawing:
    """Draw a table of speed-ups, as `speed_ups` returns it, as a heat map over sizes; the quickest on top.

    `sizes` without a speed-up have an empty column.
    """
    import seaborn as sns

    wide = joined.pivot_table(index="implementation", columns=axis, values="speed_up", aggfunc="first")
    wide = wide.loc[wide.ffill(axis=1).iloc[:, -1].sort_values(ascending=False).index]
    wide = wide.reindex(columns=sorted({*wide.columns, *sizes}))
    outcomes = joined.pivot_table(index="implementation", columns=axis, values="outcome", aggfunc="first")
    outcomes = outcomes.loc[wide.index].reindex(columns=wide.columns)
    drawing, axes = style.canvas(inches=(style.WIDE[0], 0.9 + 0.3 * len(wide)))
    words = [
        [marked(_short(value), outcome) for value, outcome in zip(values, told, strict=True)]
        for values, told in zip(wide.to_numpy(), outcomes.to_numpy(), strict=True)
    ]
    # Without a significant difference the colour is that of equality.
    shades = wide.map(np.log2).mask(outcomes.isin(list(MARKS)), 0.0)
    has_words = len(wide.columns) <= WORDS_AT_MOST
    size = style.FONT_POINTS if len(wide.columns) < MANY_SIZES else style.FONT_POINTS - 0.8
    sns.heatmap(
        shades, ax=axes, cmap=sns.blend_palette(SHADES, as_cmap=True), vmin=-SPEED_UP_LIMIT, vmax=SPEED_UP_LIMIT,
        cbar=False, linewidths=1.5 if has_words else 0.0, linecolor=style.PAPER,
        annot=words if has_words else False, fmt="", annot_kws={"size": size, "color": "#20262c"},
    )  # fmt: skip
    axes.grid(visible=False)
    labels = [units.plain(float(size)) for size in wide.columns]
    # Every so many columns have a label that it does not meet its neighbour, the last one among them.
    longest = max(style.width_of(label) for label in labels) + LABEL_GAP
    step = math.ceil(longest * len(labels) / LABELLED_POINTS)
    places = range((len(labels) - 1) % step, len(labels), step)
    axes.set_xticks([place + 0.5 for place in places], [labels[place] for place in places], rotation=0)
    axes.set_yticklabels([style.clipped(str(name)) for name in wide.index], rotation=0, color=style.INK)
    axes.set_xlabel(AXIS_WORDS.get(axis, axis))
    axes.set_ylabel("")
    return drawing


def _rows(joined: pd.DataFrame, axis: str) -> tuple[tuple[str, ...], ...]:
    """Tabulate the speed-ups of all but the baseline."""
    ordered = joined[joined["outcome"] != "baseline"].sort_values(["implementation", axis])
    return tuple(
        (
            str(row["implementation"]),
            units.plain(row[axis]),
            units.ratio(row["speed_up"]),
            units.ratio(row["speed_up_low"]),
            units.ratio(row["speed_up_high"]),
            OUTCOME_WORDS[row["outcome"]],
            units.plain(row["rounds"]) if row["rounds"] else "not paired",
        )
        for row in ordered.to_dict("records")
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
            f"Each cell compares the fastest sample of each of the {span} rounds that both implementations ran in; "
            f"noise is pooled over the run. ≈ equal within {write(policy.same_within)}; ? no significant difference "
            f"(false discovery rate {write(policy.false_discoveries)}, smallest reported difference "
            f"{write(policy.effect_at_least)})."
        )
        if any(pairs[name].processes == 1 for name in others["id"] if name in pairs):
            said.append(
                f"Measured in one process; the intervals include {write(policy.process_deviation)} for variation "
                "between processes."
            )
    unpaired = int((others["rounds"] == 0).sum())
    if unpaired:
        which = "All cells" if unpaired == len(others) else f"{unpaired} of {len(others)} cells"
        said.append(
            f"{which} share fewer than two rounds with the baseline; their speed-up is the ratio of times, its "
            "interval combines those of both cases, and ? marks an interval that contains 1."
        )
    return " ".join(said)


def marked(words: str, outcome: object) -> str:
    """Write a speed-up with the mark of its outcome, if that has one."""
    return f"{words} {MARKS[outcome]}" if outcome in MARKS else words


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
    counts = {"faster": faster, "slower": slower, "without a significant difference": rest}
    tally = f"of {len(largest)} others {', '.join(f'{count} {word}' for word, count in counts.items() if count)}."
    place = f"At {axis} = {units.plain(best[axis])}"
    if not faster:
        return (
            f"{place} nothing is significantly faster than {baseline}; {best['implementation']} comes closest, at "
            f"{units.ratio(best['speed_up'])}{span} of its speed; {tally}"
        )
    return f"{place} {best['implementation']} is {units.ratio(best['speed_up'])}{span} as fast as {baseline}; {tally}"
