"""A comparison as Markdown for a job page, and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from reports.answer import changes as answer
from reports.exports.markdown import grid
from reports.text import json_value
from reports.text import markdown as as_markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.comparing.demands import Judged
    from harness.comparing.results import Changes

# Rows of a job page.
ROWS_AT_MOST = 30


def markdown(changes: Changes, judged: Sequence[Judged]) -> str:
    """Return a comparison as Markdown: the gate first, then what changed, worst first, then the means."""
    said = [f"## attnbench compare: {as_markdown(answer.title(changes))}", ""]
    said += [f"**{as_markdown(answer.headline(changes))}**", ""]
    lines = answer.demand_lines(changes, judged)
    said += [*(f"- {as_markdown(line)}" for line in lines), ""] if lines else []
    said += [f"{as_markdown(remark)}\n" for remark in answer.remarks(changes)]
    rows = answer.rows(changes)
    if rows:
        said += ["### What changed, worst first", ""]
        said += grid(answer.COLUMNS, [row.cells for row in rows[:ROWS_AT_MOST]])
        more = len(rows) - ROWS_AT_MOST
        said += ["", f"{more:,} more {'is' if more == 1 else 'are'} in the page."] if more > 0 else []
        said += [""]
    means = answer.mean_rows(changes)
    if means:
        said += ["### Geometric means", "", *grid(answer.MEAN_COLUMNS, means), ""]
    return "\n".join(said)


def document(changes: Changes, judged: Sequence[Judged], *, code: int) -> str:
    """Return a comparison as JSON, with the demands, what came of them, and the exit code they make.

    A figure that is not finite is null.
    """
    lines = answer.demand_lines(changes, judged)
    content = changes.model_dump(mode="json", by_alias=True) | {
        "headline": answer.headline(changes),
        "remarks": answer.remarks(changes),
        "demands": [
            {
                **one.model_dump(mode="json", exclude={"judged"}),
                "compared": one.compared,
                "holds": one.holds,
                "says": line,
            }
            for one, line in zip(judged, lines, strict=True)
        ],
        "exit_code": code,
    }
    return json.dumps(json_value(content), indent=1, allow_nan=False)
