"""The profile of a case as one offline page: what bounds it, its parts, what it holds over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import style, units
from reports.figures import held
from reports.page.render import asset, content_security_policy, template
from reports.terminal import profile as words
from reports.text import whole

if TYPE_CHECKING:
    from harness.profiled import Part, ProfileDocument


def html(document: ProfileDocument) -> str:
    """Return the page of a profile; its timeline is a drawing of its own in it."""
    profile = document.profile
    with style.names_as_text():
        drawn = held.held(profile)
    page = template("profile.html.jinja")
    rendered: str = page.render(
        policy=content_security_policy([]),
        styles=asset("templates/report.css") + style.variables(),
        case=profile.case.label,
        sentence=words.sentence(document),
        facts=words.heading(profile)[1:],
        memory=words.memory(profile),
        parts=[_row(part) for part in profile.parts],
        figure=drawn,
        counters=[(one.name, units.plain(one.value), one.unit, one.kernel) for one in document.counters],
        commands=document.commands,
    )
    return whole(rendered)


def _row(part: Part) -> tuple[str, str, str, str, float]:
    """Return the cells of a part, and how long its bar is in per cent."""
    times = "" if part.kind == "outside" else str(part.count)
    return part.name, f"{part.share:.1%}", units.seconds(part.seconds), times, round(100 * part.share, 2)
