"""A history as one offline page: a line for each case over the runs of a machine, those that changed first."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

from reports import units
from reports.answer import history as answer
from reports.page.render import asset, content_security_policy, template
from reports.style import variables
from reports.text import whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.comparing.history import History, Machine, Trend

WIDTH, HEIGHT, MARGIN = 240.0, 56.0, 5.0
# Points of a page that say what they are when pointed at; more would make a page of many megabytes.
TITLES_AT_MOST = 20_000
# Intervals that reach further than this from their time are cut, so that lines stay visible.
BAND_AT_MOST = 1.5


def html(found: History) -> str:
    """Return the page of a history."""
    page = template("history.html.jinja")
    rendered: str = page.render(
        policy=content_security_policy([]),
        styles=asset("templates/report.css") + variables(),
        headline=answer.headline(found),
        base=found.base,
        effect=units.whole_percent(found.effect_at_least),
        machines=[_machine(machine) for machine in found.machines],
    )
    return whole(rendered)


def _machine(machine: Machine) -> dict[str, Any]:
    points = len(machine.runs) * len(machine.trends)
    ordered = sorted(machine.trends, key=_order)
    return {
        "name": machine.name,
        "runs": [
            (place, run.name, run.created[:16].replace("T", " "), run.commit, answer.software(machine, place))
            for place, run in enumerate(machine.runs)
        ],
        "scatter": units.ratio(machine.scatter) if machine.scatter > 1.0 else "",
        "trends": [_row(machine, trend, has_titles=points <= TITLES_AT_MOST) for trend in ordered],
        "missing": [(answer.name(trend.case), trend.missing) for trend in ordered if trend.missing],
    }


def _order(trend: Trend) -> tuple[int, float]:
    """Put the newest change first, then the largest, then what never changed."""
    last = trend.changes[-1] if trend.changes else None
    return (-last.run, -last.factor) if last else (1, 0.0)


def _row(machine: Machine, trend: Trend, *, has_titles: bool) -> dict[str, Any]:
    known = [seconds for seconds in trend.seconds if seconds]
    ratios = [ratio for ratio in trend.over_base if ratio]
    return {
        "implementation": trend.case.implementation,
        "case": trend.case.label.removeprefix(f"{trend.case.implementation} "),
        "newest": units.seconds(trend.seconds[-1]),
        "range": f"{units.seconds(min(known))} to {units.seconds(max(known))}" if known else units.ABSENT,
        "ratio": units.ratio(trend.over_base[-1]) if trend.over_base else units.ABSENT,
        "ratios": f"{units.ratio(min(ratios))} to {units.ratio(max(ratios))}" if ratios else "",
        "changes": [answer.change_words(machine, change) for change in trend.changes[::-1]],
        "missing": trend.missing,
        "svg": _line(machine, trend, has_titles=has_titles),
    }


def _line(machine: Machine, trend: Trend, *, has_titles: bool) -> str:
    """Draw times in logarithmic scale with their intervals, and a mark where a level begins."""
    known = [(place, seconds) for place, seconds in enumerate(trend.seconds) if seconds]
    if not known:
        return ""
    bands = [
        (place, max(low, seconds / BAND_AT_MOST), min(high, seconds * BAND_AT_MOST))
        for place, seconds in known
        if (low := trend.low[place]) and (high := trend.high[place])
    ]
    bottom = min(seconds for _, *ends in [*known, *bands] for seconds in ends)
    top = max(seconds for _, *ends in [*known, *bands] for seconds in ends)
    reach = max(math.log(top / bottom), 0.05)

    def x(place: int) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * place / max(len(trend.seconds) - 1, 1)

    def y(seconds: float) -> float:
        return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * math.log(seconds / bottom) / reach

    edge = [(x(place), y(high)) for place, _, high in bands] + [(x(place), y(low)) for place, low, _ in bands[::-1]]
    parts = [f'<polygon points="{_points(edge)}" fill="var(--muted)" opacity=".18"/>'] if len(bands) > 1 else []
    line = _points([(x(place), y(seconds)) for place, seconds in known])
    parts.append(f'<polyline points="{line}" fill="none" stroke="var(--ink)" stroke-width="1.2"/>')
    for change in trend.changes:
        color = "var(--bad)" if change.factor > 1 else "var(--good)"
        at = x(change.run)
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{HEIGHT:g}" stroke="{color}" stroke-width="1.4"/>')
    for place, seconds in known if has_titles else ():
        said = escape(f"{units.seconds(seconds)}: {answer.run_words(machine, place)}")
        dot = f'<circle cx="{x(place):.1f}" cy="{y(seconds):.1f}" r="2.2" fill="var(--ink)">'
        parts.append(f"{dot}<title>{said}</title></circle>")
    label = escape(f"{answer.name(trend.case)} over {units.counted(len(known), 'run')}")
    size = f'viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="{WIDTH:g}" height="{HEIGHT:g}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
