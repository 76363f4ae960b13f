"""What the allocations of one profiled call hold over its time, drawn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from reports import style, units
from reports.figures.figure import Figure

if TYPE_CHECKING:
    from harness.profiled import CaseProfile

# Ticks of an axis whose values are written with units.
TICKS = 5


def held(profile: CaseProfile) -> Figure | None:
    """Draw the bytes that a call holds at each moment; None if it allocates nothing."""
    from matplotlib import ticker

    if not profile.allocated_bytes or not profile.held:
        return None
    name = profile.case.implementation
    colors = style.looks([name])
    # The call goes on after its last change, and what it returns stays held.
    end = max(profile.held[-1].seconds, profile.profiled_seconds)
    across = [*(point.seconds for point in profile.held), end]
    heights = [*(point.bytes for point in profile.held), profile.held[-1].bytes]
    peak = max(profile.held, key=lambda point: point.bytes)
    drawing, axes = style.canvas(inches=(style.WIDE[0], 2.8))
    axes.fill_between(across, heights, step="post", color=colors[name].color, alpha=0.18, linewidth=0)
    axes.step(across, heights, where="post", color=colors[name].color)
    axes.plot([peak.seconds], [peak.bytes], color=colors[name].color, marker="o", linestyle="none")
    top = 1.08 * peak.bytes
    # Bytes are written in binary units, where steps of a power of two are round.
    step = 2.0 ** math.ceil(math.log2(top / TICKS))
    for axis, locator, write in (
        (axes.xaxis, ticker.MaxNLocator(TICKS), units.seconds),
        (axes.yaxis, ticker.MultipleLocator(step), lambda value: units.size(value, write=units.short)),
    ):
        axis.set_major_locator(locator)
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _, write=write: write(value) if value else "0"))
    axes.set_xlim(0, end)
    axes.set_ylim(0, top)
    axes.set_xlabel("time since the call began")
    axes.set_ylabel("held by its allocations")
    title = "What does the call hold, and when?"
    finding = (
        f"Its allocations hold at most {units.size(peak.bytes)}, {units.seconds(peak.seconds)} after it began, "
        f"and {units.size(profile.held[-1].bytes)} at its end; "
        f"they come to {units.size(profile.allocated_bytes)} in all."
    )
    return Figure(
        id="held",
        title=title,
        svg=style.to_svg(drawing, prefix="held", alt=f"{title} {finding}", colors=colors),
        alt=title,
        how="Each step is an allocation or a release; what was held before the call, such as its inputs, is not "
        "counted. The profiler records every allocation of this call, which makes it longer.",
        finding=finding,
        columns=("seconds", "bytes"),
        rows=tuple((f"{point.seconds:.9f}", str(point.bytes)) for point in profile.held),
        wide=True,
    )
