"""Figures of attention pooling: fits, attention weights, and the course of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reports import style, units
from reports.figures.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from harness.lesson.facts import Learning, Lesson, Method, Pooling

# Panels side by side share a page's width; inches.
PANELS = (10.2, 2.9)
# The hue of attention weights, readable on light and dark pages: red, green, blue.
WEIGHT = (0.11, 0.53, 0.79)
# What the methods are called where a reader meets them.
TITLES = {
    "average": "average",
    "gaussian": "Nadaraya-Watson",
    "boxcar": "boxcar",
    "epanechnikov": "Epanechnikov",
    "learned": "learned w",
    "best": "best w",
}
# The colour of each method, the same in every figure.
LOOKS = style.looks(["average", "nadaraya-watson", "learned", "batched", "sdpa-flash", "sdpa-auto"])
OF_METHOD = {
    "average": LOOKS["average"],
    "gaussian": LOOKS["nadaraya-watson"],
    "boxcar": LOOKS["batched"],
    "epanechnikov": LOOKS["sdpa-auto"],
    "learned": LOOKS["learned"],
    "best": LOOKS["sdpa-flash"],
}


def fits(pooling: Pooling, names: Sequence[str], *, key: str, title: str, finding: str) -> Figure:
    """Draw truth, training points and each method's predictions, a panel for each."""
    methods = [chosen(pooling, name) for name in names]
    drawing, panels = style.canvas(inches=PANELS, columns=len(methods), sharex=True, sharey=True)
    for axes, method in zip(np.atleast_1d(panels), methods, strict=True):
        axes.scatter(pooling.x, pooling.y, s=9, color=style.MUTED, alpha=0.55, linewidths=0)
        axes.plot(pooling.grid, pooling.truth, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.plot(pooling.grid, method.predictions, color=OF_METHOD[method.name].color, linewidth=2.0)
        _title(axes, TITLES[method.name])
        axes.set_xlabel("x")
    np.atleast_1d(panels)[0].set_ylabel("y")
    said = "; ".join(f"{TITLES[method.name]}: mean squared error {units.digits(method.error)}" for method in methods)
    return Figure(
        id=key,
        title=title,
        svg=style.to_svg(drawing, prefix=key, alt=f"{title}. {said}.", colors=LOOKS),
        alt=title,
        how="Grey points are the training data, the dashed line is the truth 2 sin(x) + x^0.8, the coloured line is "
        "the prediction.",
        finding=finding,
        columns=("method", "weights", "mean squared error", "turns"),
        rows=tuple(
            (TITLES[method.name], method.formula, units.digits(method.error), str(method.bends)) for method in methods
        ),
        wide=True,
    )


def heat_maps(pooling: Pooling, names: Sequence[str], *, key: str) -> Figure:
    """Draw attention weights, queries down and keys across, a panel for each method."""
    import seaborn as sns
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    methods = [chosen(pooling, name) for name in names]
    drawing, panels = style.canvas(inches=PANELS, columns=len(methods), sharex=True, sharey=True)
    # No weight is no ink, so that the page shows through in either colour scheme.
    hue = LinearSegmentedColormap.from_list("weight", [(*WEIGHT, 0.0), (*WEIGHT, 1.0)])
    for axes, method in zip(np.atleast_1d(panels), methods, strict=True):
        weights = np.array(method.weights)
        sns.heatmap(weights, ax=axes, cmap=hue, norm=PowerNorm(0.5, vmin=0.0, vmax=1.0), cbar=False, rasterized=True)
        _title(axes, TITLES[method.name])
        axes.set_xlabel("keys, sorted")
        _ticks(axes, rows=weights.shape[0], columns=weights.shape[1])
    np.atleast_1d(panels)[0].set_ylabel("queries")
    title = "Attention weights: which training points each prediction listens to"
    largest = [max(max(row) for row in method.weights) for method in methods]
    return Figure(
        id=key,
        title=title,
        svg=style.to_svg(drawing, prefix=key, alt=f"{title}. Bands along the diagonal narrow from left to right.",
                         colors=LOOKS),
        alt=title,
        how="A row is a query, a column a training point; each row sums to one. Full colour is a weight of one, none a "
        "weight of zero, and the shade is the root of the weight, so that small ones show.",
        finding="Average pooling ignores the query: every row is alike. A kernel makes a band along the diagonal, "
        "and the larger w is, the narrower the band.",
        columns=("method", "weights", "largest weight"),
        rows=tuple(
            (TITLES[method.name], method.formula, units.digits(value))
            for method, value in zip(methods, largest, strict=True)
        ),
        wide=True,
    )  # fmt: skip


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=style.FONT_POINTS, color=style.INK)


def _ticks(axes: Axes, *, rows: int, columns: int) -> None:
    axes.grid(visible=False)
    axes.set_yticks([0, rows // 2, rows], ["0", str(rows // 2), str(rows)], rotation=0)
    axes.set_xticks([0, columns // 2, columns], ["0", str(columns // 2), str(columns)], rotation=0)


def losses(learning: Learning) -> Figure:
    """Draw the training loss by epoch, with the least loss that any w gives."""
    drawing, axes = style.canvas()
    epochs = range(1, len(learning.losses) + 1)
    color = OF_METHOD["learned"].color
    axes.plot(list(epochs), learning.losses, color=color, marker="o", markersize=2.6)
    axes.axhline(learning.best_loss, color=style.INK, linewidth=1.0, linestyle=(0, (4, 3)))
    style.quantity_axis(
        axes.yaxis, [learning.best_loss, *learning.losses], lambda value: f"{value:g}", label="sum of squared errors"
    )
    axes.set_xlabel("epoch")
    title = "Training loss by epoch"
    first, second, last = learning.losses[0], learning.losses[1], learning.losses[-1]
    finding = (
        f"One step takes the loss from {first:.1f} to {second:.2f}; in the {len(learning.losses) - 2} epochs after it "
        f"changes by {units.digits(last - second)}. The best w gives {learning.best_loss:.2f}: training ends "
        f"{100 * (last / learning.best_loss - 1):.0f} % above it."
    )
    return Figure(
        id="losses",
        title=title,
        svg=style.to_svg(drawing, prefix="losses", alt=f"{title}. {finding}", colors=LOOKS),
        alt=title,
        how="The loss is the sum over the 50 training points, each predicted from the 49 others. The dashed line is "
        "the least loss that a scalar optimiser finds. The vertical axis is logarithmic.",
        finding=finding,
        columns=("epoch", "loss", "w after"),
        rows=tuple(
            (str(epoch), f"{loss:.6f}", units.digits(w))
            for epoch, loss, w in zip(epochs, learning.losses, learning.scales, strict=True)
        ),
    )


def landscape(learning: Learning) -> Figure:
    """Draw the loss as a function of w, with where training ends and where the least loss is."""
    drawing, axes = style.canvas()
    scales, values = zip(*learning.landscape, strict=True)
    axes.plot(scales, values, color=style.MUTED)
    end = (abs(learning.scales[-1]), learning.losses[-1])
    axes.plot(*end, marker="s", color=OF_METHOD["learned"].color, linestyle="none", markersize=7)
    axes.plot(learning.best_w, learning.best_loss, marker="o", color=OF_METHOD["best"].color, linestyle="none",
              markersize=7)  # fmt: skip
    style.quantity_axis(axes.xaxis, [*scales, end[0]], lambda value: f"{value:g}", label="scale w")
    style.quantity_axis(axes.yaxis, values, lambda value: f"{value:g}", label="sum of squared errors")
    for where, what, side in (
        ((learning.best_w, learning.best_loss), "best", "center"),
        (end, "SGD ends here", "right"),
    ):
        axes.annotate(what, where, textcoords="offset points", xytext=(0, 9), ha=side, color=style.INK)
    title = "The loss over w, and where training ends"
    finding = (
        f"At rate {learning.rate:g} the first step jumps across the valley to w = {learning.scales[0]:.0f}; there the "
        f"loss is flat, so its slope is all but zero and SGD stays, at w = {learning.scales[-1]:.1f}. The valley is at "
        f"w = {learning.best_w:.2f}."
    )
    return Figure(
        id="landscape",
        title=title,
        svg=style.to_svg(drawing, prefix="landscape", alt=f"{title}. {finding}", colors=LOOKS),
        alt=title,
        how="The line is the same loss for each fixed w, in float64. Both axes are logarithmic.",
        finding=finding,
    )


def spread(learning: Learning) -> Figure:
    """Draw how far from the optimum training ends, against the w that it ends at, a point for each seed."""
    drawing, axes = style.canvas(inches=style.WIDE)
    excess = [100 * (one.last / one.best_loss - 1) for one in learning.outcomes]
    scales = [abs(one.w) for one in learning.outcomes]
    shown = [one.seed == learning.seed for one in learning.outcomes]
    axes.scatter(
        scales, excess, s=22, linewidths=[1.2 if mine else 0 for mine in shown], edgecolors=style.INK,
        color=OF_METHOD["learned"].color, alpha=0.75,
    )  # fmt: skip
    style.quantity_axis(axes.xaxis, scales, lambda value: f"{value:g}", label="|w| after training")
    axes.set_ylabel("loss above the optimum, %")
    title = f"The same training from {len(learning.outcomes)} seeds"
    outcomes = learning.outcomes
    halved = sum(one.second < one.first / 2 for one in outcomes)
    stuck = sum(one.last > 1.05 * one.best_loss for one in outcomes)
    far = sum(abs(one.w) > 50 for one in outcomes)  # noqa: PLR2004  (a kernel fifty times as narrow as the given one)
    finding = (
        f"Of {len(outcomes)} seeds {halved} more than halve the loss in the first step, {stuck} end more than 5 % "
        f"above the least loss, and {far} end with |w| over 50, where a prediction is the nearest neighbour's value."
    )
    return Figure(
        id="spread",
        title=title,
        svg=style.to_svg(drawing, prefix="spread", alt=f"{title}. {finding}", colors=LOOKS),
        alt=title,
        how=f"Each point is one seed's data and starting w. The ringed one, seed {learning.seed}, is shown above: "
        f"{learning.why}.",
        finding=finding,
        columns=("seed", "first loss", "second", "last", "w", "best w", "least loss"),
        rows=tuple(
            (str(one.seed), *(units.digits(value) for value in
             (one.first, one.second, one.last, one.w, one.best_w, one.best_loss)))
            for one in outcomes
        ),
        wide=True,
    )  # fmt: skip


def chosen(pooling: Pooling, name: str) -> Method:
    """Return the method of a name. Raises KeyError for one that the lesson lacks."""
    found = {method.name: method for method in pooling.methods}
    return found[name]


def pictures(lesson: Lesson) -> dict[str, list[Figure]]:
    """Draw what pooling and its training look like, by chapter: `pooling` without parameters, `learning` with one."""
    data, learning = lesson.pooling, lesson.learning
    average, gaussian = chosen(data, "average"), chosen(data, "gaussian")
    learned, best = chosen(data, "learned"), chosen(data, "best")
    return {
        "pooling": [
            fits(
                data, ["average", "gaussian"], key="fits", title="Pooling without parameters",
                finding=f"The average ignores the query (mean squared error {units.digits(average.error)}). Weighing "
                f"by distance follows the truth ({units.digits(gaussian.error)}), but leans towards the local "
                "mean: hills come out too low and valleys too high.",
            ),
            heat_maps(data, ["average", "gaussian", "best", "learned"], key="weights"),
            fits(
                data, ["gaussian", "boxcar", "epanechnikov"], key="kernels",
                title="Other kernels, as textbooks show them",
                finding="A boxcar weighs neighbours alike and jumps where one enters or leaves; Epanechnikov's "
                "parabola fades them out.",
            ),
        ],
        "learning": [
            losses(learning),
            landscape(learning),
            fits(
                data, ["gaussian", "best", "learned"], key="learned-fits", title="Pooling with one learned parameter",
                finding=f"The curve of the learned w turns {learned.bends} times, that of the given kernel "
                f"{gaussian.bends} times: a larger w is a narrower kernel. The best w turns {best.bends} times.",
            ),
            spread(learning),
        ],
    }  # fmt: skip
