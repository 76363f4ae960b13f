"""The table of verdicts: claims in rows, implementations in columns, with the reason of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports import units
from reports.answer.reasons import explanation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.results.run import Run
    from harness.results.verdicts_file import Verdict

# Each verdict with the mark that tells it without colour.
MARKS = {"confirmed": "✓", "consistent": "≈", "inconclusive": "?", "refuted": "✗", "contradicted": "≠"}


@dataclass(frozen=True)
class Finding:
    """One verdict of a cell: what was judged along an axis, its figure with the interval, and its mark."""

    quantity: str
    figure: str
    span: str
    verdict: str
    mark: str


@dataclass(frozen=True)
class Cell:
    """What is known of one claim for one implementation: the deciding verdict, its reason, and findings by axis."""

    verdict: str
    mark: str
    along: dict[str, tuple[Finding, ...]]
    reason: str


@dataclass(frozen=True)
class Row:
    """One claim with a cell for each implementation it is about, else None; `expects` is what arithmetic says.

    `axes` are those along which it was judged for anybody, in the order of the law.
    """

    claim: str
    says: str
    expects: str
    cells: tuple[Cell | None, ...]
    axes: tuple[str, ...] = ()


@dataclass(frozen=True)
class VerdictTable:
    """Claims in rows, implementations in columns, for one run, device, dtype and direction."""

    conditions: str
    implementations: tuple[str, ...]
    rows: tuple[Row, ...]


def verdict_tables(run: Run) -> list[VerdictTable]:
    """Arrange a run's verdicts, one table for each device, dtype and direction, the longest first."""
    groups: dict[tuple[str, str, str], list[Verdict]] = {}
    for verdict in run.verdicts:
        groups.setdefault((verdict.device, verdict.dtype, verdict.direction), []).append(verdict)
    texts = claim_texts(run)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    return [
        VerdictTable(", ".join(key for key in keys if key), *_arranged(verdicts, texts)) for keys, verdicts in ordered
    ]


def _arranged(verdicts: Sequence[Verdict], texts: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    implementations = tuple(sorted({verdict.implementation for verdict in verdicts}))
    claims: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        says = verdict.says or texts.get(verdict.claim, "")
        claims.setdefault((verdict.claim, says), []).append(verdict)
    rows = []
    for (claim, says), mine in sorted(claims.items()):
        by_name: dict[str, list[Verdict]] = {}
        for verdict in mine:
            by_name.setdefault(verdict.implementation, []).append(verdict)
        cells = tuple(_cell(by_name[name]) if name in by_name else None for name in implementations)
        axes = tuple(dict.fromkeys(axis for cell in cells if cell for axis in cell.along))
        rows.append(Row(claim, units.raised(says), mine[0].arithmetic, cells, axes))
    return implementations, tuple(rows)


def claim_texts(run: Run) -> dict[str, str]:
    """Return what each claim says, from the plan's scenarios."""
    found: dict[str, str] = {}
    for scenario in run.plan.scenarios if run.plan else []:
        for claim in scenario.claims:
            found.setdefault(claim.id, claim.says)
    return found


def deciding(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict over all quantities, the first if there is none."""
    return next((verdict for verdict in verdicts if verdict.quantity == "all"), verdicts[0])


def _figure(verdict: Verdict) -> str:
    if verdict.exponent is None:
        return ""
    # A ratio compares two amounts: its figure is a factor, no exponent.
    if verdict.axis == "causal" or verdict.form == "ratio":
        return units.ratio(verdict.exponent)
    return f"{verdict.axis}{units.power(verdict.exponent)}"


def _cell(verdicts: Sequence[Verdict]) -> Cell:
    chosen = deciding(verdicts)
    along: dict[str, list[Finding]] = {}
    for verdict in [one for one in verdicts if one.quantity != "all"] or [chosen]:
        span = units.interval(verdict.low, verdict.high) if verdict.low != verdict.high else ""
        quantity = "" if verdict.quantity == "all" else verdict.quantity
        found = Finding(quantity, _figure(verdict), span, verdict.verdict, MARKS[verdict.verdict])
        along.setdefault(verdict.axis, []).append(found)
    findings = {axis: tuple(found) for axis, found in along.items()}
    return Cell(chosen.verdict, MARKS[chosen.verdict], findings, explanation(chosen))
