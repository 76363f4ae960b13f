"""What PyTorch's own choice of a backend costs at each point, beside the best backend there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import style, units
from reports.figures.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure as Drawing

    from harness.results.pairs.regret import Regret
    from harness.results.pairs.tuned import Tuned
    from reports.figures.marks import Looks

# More rows than this make no small figure; the table below it has all of them.
REGRETS_AT_MOST = 24
# Room for what tells a point and the best backend there.
LABEL_CHARACTERS, LABEL_POINTS = 48, 230.0


def regret(found: Sequence[Regret], colors: Looks, *, key: str) -> Figure | None:
    """Draw how many times as fast as the choice the best backend is, with intervals; None without a point."""
    if not found:
        return None
    drawn, title, said = found[:REGRETS_AT_MOST], "What the dispatcher's choice loses", finding(found)
    return Figure(
        id=f"regret-{key}",
        title=title,
        svg=style.to_svg(draw_regret(drawn, colors), prefix=f"regret-{key}", alt=f"{title}. {said}", colors=colors),
        alt=title,
        how="How many times as fast as sdpa-auto the best pinned backend is at the same point, with its 95 % interval, "
        "the largest loss first; each row names the point by what its sweep varies, and the best backend. At 1 nothing "
        "is lost; the best of several is drawn, so a little above 1 is chance."
        + (f" The {REGRETS_AT_MOST} largest of {len(found)} are drawn." if len(found) > len(drawn) else ""),
        finding=said,
        columns=("point", "dtype", "direction", "picked", "best", "as fast", "from", "to"),
        rows=tuple(
            (
                *(_sizes(one), one.case.dtype, one.case.direction, one.picked or units.ABSENT, one.best),
                *(units.ratio(value) for value in (one.factor, one.low, one.high)),
            )
            for one in found
        ),
        wide=True,
    )


def finding(found: Sequence[Regret]) -> str:
    """Say at how many points the choice lost, and where it lost most."""
    lost = [one for one in found if one.is_told]
    among = units.counted(len(found), "point")
    if not lost:
        return f"PyTorch's own choice (sdpa-auto) lost nothing against the best backend at any of {among}."
    most = max(lost, key=lambda one: one.factor)
    picked = f"it picked {most.picked}" if most.picked else "what it picked is not known"
    return (
        f"PyTorch's own choice (sdpa-auto) lost against the best backend at {len(lost)} of {among}, most at "
        f"{_sizes(most)}, {most.case.dtype}, {most.case.direction}: {picked}, and {most.best} is "
        f"{units.ratio(most.factor)} as fast ({units.ratio(most.low)} to {units.ratio(most.high)})."
    )


def draw_regret(drawn: Sequence[Regret], colors: Looks) -> Drawing:
    """Draw a row for each point: the factor with its interval, in the best backend's color, hollow where undecided."""
    drawing, axes = style.canvas(inches=(style.WIDE[0], 1.0 + 0.26 * len(drawn)))
    words = [
        style.clipped(f"{label}: {one.best}", characters=LABEL_CHARACTERS, points=LABEL_POINTS)
        for label, one in zip(labels(drawn), drawn, strict=True)
    ]
    for place, one in enumerate(drawn):
        color = colors[one.best].color
        axes.plot([one.low, one.high], [place, place], color=color, linewidth=1.6, alpha=0.6)
        fill = color if one.is_told else "none"
        axes.plot([one.factor], [place], color=color, marker="o", markersize=6, markerfacecolor=fill, linestyle="none")
    axes.axvline(1.0, color=style.MUTED, linewidth=0.9)
    axes.set_yticks(range(len(drawn)), words)
    axes.tick_params(axis="y", labelcolor=style.INK)
    axes.set_ylim(len(drawn) - 0.5, -0.5)
    axes.set_xlabel("best backend, times as fast as sdpa-auto")
    return drawing


def _sizes(one: Regret | Tuned) -> str:
    return ", ".join(f"{name} {value}" for name, value in one.case.point.items())


def labels(drawn: Sequence[Regret] | Sequence[Tuned]) -> list[str]:
    """Name each point by the sizes that vary among those of its sweep, and by dtype and direction where those do."""
    varying = {name for name in ("dtype", "direction") if len({getattr(one.case, name) for one in drawn}) > 1}
    found = []
    for one in drawn:
        beside = [other.case.point for other in drawn if other.case.scenario == one.case.scenario]
        told = [
            f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"
            for name, value in one.case.point.items()
            if len({str(point.get(name)) for point in beside}) > 1
        ]
        told += [str(getattr(one.case, name)) for name in sorted(varying)]
        found.append(", ".join(told) or _sizes(one))
    return found
