"""What changed between two runs, or from one implementation to others: the chapter that opens a comparison's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import units
from reports.answer import changes as answer
from reports.chapters.chapter import ROWS_AT_MOST, Chapter, Section, Table, made
from reports.figures import changes as figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.comparing.demands import Judged
    from harness.comparing.results import Changes

HOW = (
    "A ratio is new over base, below 1 is faster. A case is faster or slower where the difference is larger than "
    "chance explains at a false discovery rate of {rate} over all cases, and at least {effect}; same where it is "
    "within {band}; else inconclusive. Counts and bytes are exact and compare as they are."
)

# Rows of what changed that are shown at once; the others open on demand.
WORST_AT_MOST = 20


def changes_chapter(changes: Changes, judged: Sequence[Judged]) -> Chapter:
    """Show what changed, worst first, with the demands, the means, and what does not compare."""
    how = HOW.format(
        rate=units.whole_percent(changes.false_discoveries),
        effect=units.whole_percent(changes.effect_at_least),
        band=units.whole_percent(changes.same_within),
    )
    sections = [Section(answer.title(changes), " ".join([*answer.demand_lines(changes, judged), how]))]
    sections += [Section("Also to know", " ".join(found))] if (found := answer.remarks(changes)) else []
    worst = answer.rows(changes)
    drawn = made([figures.ratios(changes)])
    if worst or drawn:
        tables = [_table("What changed, worst first", worst[:WORST_AT_MOST], is_open=True)] if worst else []
        tables += [_table("What changed less", less)] if (less := worst[WORST_AT_MOST:]) else []
        sections.append(Section("What changed", "", drawn, tuple(tables)))
    means = tuple(answer.mean_rows(changes))
    if means:
        table = Table("Geometric means of new over base", answer.MEAN_COLUMNS, means)
        sections.append(Section("Means", "", (), (table,)))
    shown = {row.cells for row in worst}
    rest = [row for row in answer.rows(changes, all_cases=True) if row.cells not in shown]
    if rest:
        sections.append(
            Section("All other cases", "", (), (_table("No change found, or no comparison", rest),), is_folded=True)
        )
    return Chapter("changes", "What changed", answer.headline(changes), tuple(sections))


def _table(caption: str, rows: Sequence[answer.Row], *, is_open: bool = False) -> Table:
    shown = tuple(row.cells for row in rows[:ROWS_AT_MOST])
    more = len(rows) - len(shown)
    return Table(f"{caption} ({more:,} more in --json)" if more > 0 else caption, answer.COLUMNS, shown, is_open)
