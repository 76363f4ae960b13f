"""What the best of an implementation's options gains over its default, size by size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import style, units
from reports.figures.figure import Figure
from reports.figures.speed.regret import LABEL_CHARACTERS, LABEL_POINTS, labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure as Drawing

    from harness.results.pairs.tuned import Tuned
    from reports.figures.marks import Looks

# More rows than this make no small figure; the table below it has all of them.
POINTS_AT_MOST = 24


def options(found: Sequence[Tuned], colors: Looks, *, key: str) -> Figure | None:
    """Draw how many times as fast as its default the best setting is at each point; None without a point."""
    if not found:
        return None
    # By implementation, each in the order of its sizes.
    ordered = sorted(found, key=lambda one: (one.case.implementation, one.case.scenario, _numbers(one)))
    drawn, title, said = ordered[:POINTS_AT_MOST], "What options gain over the default", finding(ordered)
    return Figure(
        id=f"options-{key}",
        title=title,
        svg=style.to_svg(draw_options(drawn, colors), prefix=f"options-{key}", alt=f"{title}. {said}", colors=colors),
        alt=title,
        how="How many times as fast as its own default the best of an implementation's other settings is at the same "
        "point, with its 95 % interval; each row names the point by what its sweep varies, and the best setting. Below "
        "1 the default is best; the best of several is drawn, so a little above 1 is chance. Hollow marks are "
        "undecided. Who is fastest is said of defaults alone."
        + (f" {POINTS_AT_MOST} of {len(found)} are drawn." if len(found) > len(drawn) else ""),
        finding=said,
        columns=("implementation", "point", "dtype", "direction", "default", "best setting", "its time", "as fast",
                 "from", "to", "tried"),
        rows=tuple(
            (
                *(one.case.implementation, _sizes(one), one.case.dtype, one.case.direction),
                *(units.seconds(one.seconds), setting(one), units.seconds(one.best_seconds)),
                *(units.ratio(value) for value in (one.factor, one.low, one.high)),
                str(one.tried),
            )
            for one in ordered
        ),
        wide=True,
    )  # fmt: skip


def finding(found: Sequence[Tuned]) -> str:
    """Say of each implementation at how many points a setting beats its default, and which is best how often."""
    said = []
    for name in dict.fromkeys(one.case.implementation for one in found):
        mine = [one for one in found if one.case.implementation == name]
        faster = [one for one in mine if one.is_told]
        if not faster:
            said.append(f"no other setting of {name} beats its default at any of {units.counted(len(mine), 'point')}")
            continue
        settings = [setting(one) for one in faster]
        often = max(dict.fromkeys(settings), key=settings.count)
        most = max(faster, key=lambda one: one.factor)
        said.append(
            f"another setting of {name} beats its default at {len(faster)} of {units.counted(len(mine), 'point')}, "
            f"mostly {often}, by up to {units.ratio(most.factor)}"
        )
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}."


def draw_options(drawn: Sequence[Tuned], colors: Looks) -> Drawing:
    """Draw a row for each point: the factor with its interval, in the implementation's color, hollow if undecided."""
    drawing, axes = style.canvas(inches=(style.WIDE[0], 1.0 + 0.26 * len(drawn)))
    words = [
        style.clipped(
            f"{one.case.implementation}, {label}: {setting(one)}", characters=LABEL_CHARACTERS, points=LABEL_POINTS
        )
        for label, one in zip(labels(drawn), drawn, strict=True)
    ]
    for place, one in enumerate(drawn):
        color = colors[one.case.implementation].color
        axes.plot([one.low, one.high], [place, place], color=color, linewidth=1.6, alpha=0.6)
        fill = color if one.is_told else "none"
        axes.plot([one.factor], [place], color=color, marker="o", markersize=6, markerfacecolor=fill, linestyle="none")
    axes.axvline(1.0, color=style.MUTED, linewidth=0.9)
    axes.set_yticks(range(len(drawn)), words)
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.set_ylim(len(drawn) - 0.5, -0.5)
    axes.set_xlabel("best setting, times as fast as the default")
    return drawing


def setting(one: Tuned) -> str:
    """Return what the best variant chooses: `block=64`."""
    return one.best.removeprefix(f"{one.case.implementation}:").replace(",", ", ")


def _numbers(one: Tuned) -> tuple[float, ...]:
    return tuple(value for value in one.case.point.values() if isinstance(value, int | float))


def _sizes(one: Tuned) -> str:
    return ", ".join(f"{name} {value}" for name, value in one.case.point.items())
