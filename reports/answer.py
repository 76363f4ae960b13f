"""The first screen: the answer in a few sentences, the verdict table, and doubts about the measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports import units
from reports.figures.figure import declaration, top
from reports.figures.scaling import EXPECTED
from reports.figures.speed import speed_ups

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from harness.records import Verdict
    from reports.frame import Run

NOT_JUDGED = "not judged yet"
# Each verdict with the mark that tells it without colour.
MARKS = {"confirmed": "✓", "consistent": "≈", "inconclusive": "?", "refuted": "✗", "contradicted": "≠"}
AXES_OF_LAW = ("n", "d", "heads", "batch")


@dataclass(frozen=True)
class Tile:
    """One key figure: a value with what it is, and a remark."""

    value: str
    label: str
    remark: str = ""


@dataclass(frozen=True)
class Cell:
    """What is known of one claim for one implementation: the deciding verdict, and one line per quantity."""

    verdict: str
    mark: str
    lines: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class VerdictTable:
    """Claims in rows, implementations in columns, for one run, dtype and direction."""

    conditions: str
    implementations: tuple[str, ...]
    claims: tuple[tuple[str, str, tuple[Cell | None, ...]], ...]


def sentences(run: Run, table: pd.DataFrame) -> list[str]:
    """Answer the main question for one run in one to three sentences."""
    ok = table[(table["status"] == "ok") & (table["problem"] == "attention")]
    said = [law_sentence(run)]
    contrast = contrast_sentence(ok, baseline=baseline_of(run))
    if contrast:
        said.append(contrast)
    wrong = table[table["status"].isin(["disagreed", "fallback", "invalid"])]
    if not wrong.empty:
        names = sorted(wrong["implementation"].unique())
        said.append(
            f"{units.counted(len(wrong), 'case')} of {units.listing(names)} gave a wrong answer or ran something else "
            "than asked, and carry no time."
        )
    return [sentence for sentence in said if sentence]


def law_sentence(run: Run) -> str:
    """Say how time grows along each axis, and what became of the claims."""
    if not run.judged:
        return f"The scaling claims are {NOT_JUDGED}: this run holds measurements, but no verdicts."
    timed = [verdict for verdict in run.verdicts if verdict.quantity == "time" and verdict.exponent is not None]
    spoken = _spokesman(timed, baseline=baseline_of(run))
    parts = []
    for axis in AXES_OF_LAW:
        verdict = next((item for item in timed if item.implementation == spoken and item.axis == axis), None)
        if verdict:
            span = f" ({verdict.low:.2f} to {verdict.high:.2f})" if not units.absent(verdict.low) else ""
            parts.append(f"{axis}{units.power(round(verdict.exponent or 0.0, 2))}{span}")
    growth = f"On this machine the time of {spoken} grows as {units.listing(parts)}." if parts else ""
    tally = _tally(run)
    return " ".join(part for part in (growth, tally) if part) or "No claim was judged in this run."


def contrast_sentence(ok: pd.DataFrame, *, baseline: str) -> str:
    """Compare the leanest and the quickest implementation with the baseline at the largest n they share."""
    against = ok[ok["implementation"] == baseline]
    if against.empty or against["n"].dropna().empty:
        return ""
    joined = speed_ups(ok, baseline=baseline)
    joined = joined[joined["implementation"] != baseline]
    if joined.empty:
        return ""
    largest = joined[joined["n"] == joined["n"].max()]
    best = top(largest, "speed_up")
    factor = units.ratio(best["speed_up"])
    words = f"At n = {units.plain(best['n'])} {best['implementation']} is {factor} as fast as {baseline}"
    mine = best["extra_bytes"]
    theirs = against[(against["n"] == best["n"]) & (against["scenario"] == best["scenario"])]["extra_bytes"].max()
    if not units.absent(mine) and not units.absent(theirs) and theirs > mine:
        words += f" and takes {units.size(mine)} of extra memory where {baseline} takes {units.size(theirs)}"
        words += f" (1/{units.digits(theirs / mine, significant=2)})" if mine > 0 else ""
    return f"{words}."


def tiles(run: Run, table: pd.DataFrame) -> list[Tile]:
    """List the key figures of a run."""
    found = []
    timed = [verdict for verdict in run.verdicts if verdict.quantity == "time" and verdict.exponent is not None]
    spoken = _spokesman(timed, baseline=baseline_of(run))
    for axis in ("n", "d"):
        verdict = next((item for item in timed if item.implementation == spoken and item.axis == axis), None)
        if verdict:
            remark = f"95 %: {units.interval(verdict.low, verdict.high)}" if not units.absent(verdict.low) else ""
            found.append(Tile(f"{axis}{units.power(round(verdict.exponent or 0.0, 2))}", f"time of {spoken}", remark))
    ok = table[table["status"] == "ok"]
    rated = ok.dropna(subset=["tflops"])
    if not rated.empty:
        best = top(rated, "tflops")
        found.append(
            Tile(
                units.count(best["tflops"] * 1e12, "FLOP/s"),
                "highest throughput",
                f"{best['implementation']}, {best['dtype']}",
            )
        )
    checked = table.dropna(subset=["agreement_ratio"])
    if not checked.empty:
        agreed = int((checked["agreement_ratio"] <= 1).sum())
        found.append(Tile(f"{agreed:,} / {len(checked):,}", "cases agree with float64", "before any was timed"))
    found.append(Tile(f"{len(ok):,} / {len(table):,}", "cases timed", _missing(table)))
    return found


def verdict_tables(run: Run) -> list[VerdictTable]:
    """Arrange a run's verdicts, one table for each device, dtype and direction."""
    groups: dict[tuple[str, str, str], list[Verdict]] = {}
    for verdict in run.verdicts:
        groups.setdefault((verdict.device, verdict.dtype, verdict.direction), []).append(verdict)
    says = claim_texts(run)
    found = []
    for keys, verdicts in groups.items():
        implementations = tuple(sorted({verdict.implementation for verdict in verdicts}))
        claims = list(dict.fromkeys(verdict.claim for verdict in verdicts))
        rows = tuple(
            (claim, says.get(claim, ""), tuple(_cell(verdicts, claim, name) for name in implementations))
            for claim in sorted(claims)
        )
        found.append(VerdictTable(", ".join(key for key in keys if key), implementations, rows))
    return found


def claim_texts(run: Run) -> dict[str, str]:
    """Return what each claim says, from the plan's scenarios."""
    found: dict[str, str] = {}
    for scenario in run.plan.scenarios if run.plan else []:
        claims = scenario.get("claims")
        for claim in claims if isinstance(claims, list) else []:
            if isinstance(claim, dict):
                found[str(claim.get("id", ""))] = units.raised(str(claim.get("says", "")))
    return found


def warnings(run: Run, table: pd.DataFrame) -> list[str]:
    """List what a reader should know before trusting a number."""
    found = []
    ok = table[table["status"] == "ok"]
    if run.torn:
        found.append(f"{units.counted(run.torn, 'line')} of the journal were torn by a killed writer and are left out.")
    if run.summary is None:
        found.append("The run has no summary: it was interrupted or is still under way.")
    else:
        if not run.summary.complete:
            found.append("The run is not complete: resume it to measure the rest.")
        found += run.summary.warnings
    waiting = int((table["status"] == "not run").sum())
    if waiting:
        found.append(f"{units.counted(waiting, 'planned case')} have no record yet.")
    for flag in ("wide", "drift", "bimodal", "contaminated", "throttled"):
        number = int(ok["flags"].str.split().apply(lambda flags, flag=flag: flag in flags).sum())
        if number:
            found.append(f"{units.counted(number, 'timed case')} of {len(ok):,} {FLAG_WORDS[flag]}.")
    if run.plan and run.plan.preset == "fast":
        found.append("Measured with --fast: few rounds, so slow drift of the machine is not covered.")
    if ok.empty:
        found.append("No case was timed.")
    return found


FLAG_WORDS = {
    "wide": "did not reach the precision asked for (wide)",
    "drift": "changed speed over the run (drift)",
    "bimodal": "have two modes, so that one median does not describe them (bimodal)",
    "contaminated": "shared the machine with other work (contaminated)",
    "throttled": "ran while the device held its clocks back (throttled)",
}


def baseline_of(run: Run) -> str:
    """Return the implementation that speed-ups are relative to, empty without a plan."""
    return run.plan.baseline if run.plan else ""


def question(runs: Sequence[Run], scenario: str) -> str:
    """Return what a scenario asks, empty where no plan says it."""
    return next((str(found["question"]) for run in runs if (found := declaration(run, scenario)).get("question")), "")


def _spokesman(timed: Iterable[Verdict], *, baseline: str) -> str:
    """Choose whose exponents to quote: the baseline's if judged, else those with the narrowest interval along n."""
    along = [
        verdict for verdict in timed if verdict.axis == "n" and verdict.low is not None and verdict.high is not None
    ]
    if any(verdict.implementation == baseline for verdict in along):
        return baseline
    narrow = sorted(along, key=lambda verdict: (verdict.high or 0.0) - (verdict.low or 0.0))
    return narrow[0].implementation if narrow else baseline


def _tally(run: Run) -> str:
    decided = [verdict for verdict in run.verdicts if verdict.quantity == "all"] or list(run.verdicts)
    law = [
        verdict
        for verdict in decided
        if (verdict.axis in EXPECTED and verdict.expected == EXPECTED[verdict.axis]) or not verdict.axis
    ] or decided
    if not law:
        return ""
    confirmed = sum(verdict.verdict in {"confirmed", "consistent"} for verdict in law)
    refuted = [verdict for verdict in law if verdict.verdict in {"refuted", "contradicted"}]
    words = f"O(n² d) is confirmed in {confirmed} of {units.counted(len(law), 'judgement')}"
    if refuted:
        names = sorted({f"{verdict.claim} for {verdict.implementation}" for verdict in refuted})
        words += f", refuted in {units.listing(names[:3])}{' and others' if len(names) > 3 else ''}"  # noqa: PLR2004
    return f"{words}."


def _cell(verdicts: Sequence[Verdict], claim: str, implementation: str) -> Cell | None:
    mine = [verdict for verdict in verdicts if verdict.claim == claim and verdict.implementation == implementation]
    if not mine:
        return None
    deciding = next((verdict for verdict in mine if verdict.quantity == "all"), mine[0])
    lines = []
    for verdict in mine:
        if verdict.quantity == "all" and len(mine) > 1:
            continue
        exponent = "" if verdict.exponent is None else f" {verdict.axis}{units.power(round(verdict.exponent, 2))}"
        span = units.interval(verdict.low, verdict.high) if verdict.low != verdict.high else ""
        other = f" {verdict.verdict}" if verdict.verdict != deciding.verdict else ""
        lines.append(f"{verdict.quantity}{exponent}{f' ({span})' if span else ''}{other}")
    reasons = dict.fromkeys(verdict.reason for verdict in mine if verdict.reason)
    return Cell(deciding.verdict, MARKS[deciding.verdict], tuple(lines), units.raised("; ".join(reasons)))


def _missing(table: pd.DataFrame) -> str:
    rest = len(table) - int((table["status"] == "ok").sum())
    return f"{rest:,} without a time, with reasons below" if rest else "every planned case"
