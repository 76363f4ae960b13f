"""The first screen: the answer in a few sentences, the verdict table, and doubts about the measurement."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reports import units
from reports.figures.figure import top
from reports.figures.scaling import EXPECTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from harness.records import Verdict
    from reports.frame import Run

NOT_JUDGED = "not judged yet"
# Each verdict with the mark that tells it without colour.
MARKS = {"confirmed": "✓", "consistent": "≈", "inconclusive": "?", "refuted": "✗", "contradicted": "≠"}
# Within a tenth two implementations tell no story.
CLOSE = 1.1
# A point that nearly all implementations reached speaks for them, even if a slow one stopped earlier.
SHARED_BY_MOST = 0.7
AXES_OF_LAW = ("n", "d", "heads", "batch")
# Below this, half a width in log time is the share that it is of the time.
CLOSE_TO_SHARE = 0.4
# As many implementations with wide intervals are named.
WORST_NAMED = 2
# Ceilings that differ by more between the start and the end of a run are another machine's.
CEILING_MOVED = 0.05


@dataclass(frozen=True)
class Tile:
    """One key figure: a value with what it is, and a remark."""

    value: str
    label: str
    remark: str = ""


@dataclass(frozen=True)
class Cell:
    """What is known of one claim for one implementation: the deciding verdict, and one line per axis and quantity."""

    verdict: str
    mark: str
    lines: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Row:
    """One claim with a cell for each implementation it is about, else None; `expects` is what arithmetic says."""

    claim: str
    says: str
    expects: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class VerdictTable:
    """Claims in rows, implementations in columns, for one run, device, dtype and direction."""

    conditions: str
    implementations: tuple[str, ...]
    rows: tuple[Row, ...]


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
    timed = _timed_exponents(run)
    spoken = _spokesman(timed, baseline=baseline_of(run))
    grows, unclear = [], []
    for axis in AXES_OF_LAW:
        verdict = next((item for item in timed if item.implementation == spoken and item.axis == axis), None)
        if verdict is None:
            continue
        span = "" if units.absent(verdict.low) else f"{verdict.low:.2f} to {verdict.high:.2f}"
        if verdict.verdict == "inconclusive":
            unclear.append(f"{axis} (exponent {span})" if span else axis)
        else:
            grows.append(f"{axis}{units.power(verdict.exponent)}{f' ({span})' if span else ''}")
    said = []
    if grows:
        said.append(f"On this machine the time of {spoken} grows as {units.listing(grows)}.")
    if unclear:
        said.append(f"Measured time alone decides nothing for {spoken} along {units.listing(unclear)}.")
    tally = _tally(run)
    return " ".join([*said, *([tally] if tally else [])]) or "No claim was judged in this run."


def contrast_sentence(ok: pd.DataFrame, *, baseline: str) -> str:
    """Set the quickest implementation at the largest n against the baseline, or the one with most extra memory.

    The second where the baseline itself is the quickest, or within a tenth of it.
    """
    point = _largest_point(ok)
    if point.empty or point["implementation"].nunique() < 2:  # noqa: PLR2004  (a contrast has two sides)
        return ""
    quickest = point.sort_values("median_s").iloc[0]
    others = point[point["implementation"] != quickest["implementation"]]
    against = others[(others["implementation"] == baseline) & (others["median_s"] > CLOSE * quickest["median_s"])]
    if against.empty:
        against = others.sort_values(["extra_bytes", "median_s"], na_position="first").tail(1)
    other = against.iloc[0]
    factor, n = units.ratio(other["median_s"] / quickest["median_s"]), units.plain(quickest["n"])
    words = f"At n = {n} {quickest['implementation']} is {factor} as fast as {other['implementation']}"
    mine, theirs = quickest["extra_bytes"], other["extra_bytes"]
    if not units.absent(mine) and not units.absent(theirs) and theirs > mine > 0:
        share = units.digits(theirs / mine, significant=2)
        words += f" and takes 1/{share} of its extra memory, {units.size(mine)} against {units.size(theirs)}"
    return f"{words}."


def _largest_point(ok: pd.DataFrame) -> pd.DataFrame:
    """Return the timed cases at the largest n that most implementations share, of one dtype and direction."""
    import pandas as pd

    from reports.frame import AXES

    keys = [*AXES, "dtype", "direction", "cache", "device"]
    sized = ok.dropna(subset=["n"])
    if sized.empty:
        return sized
    point = pd.Series(list(zip(*(sized[name].map(str) for name in keys), strict=True)), index=sized.index)
    shared = sized.groupby(point)["implementation"].transform("nunique")
    most = sized[shared >= SHARED_BY_MOST * shared.max()]
    chosen = most.sort_values(["n", "operations"]).index[-1]
    same = point[chosen]
    found: pd.DataFrame = sized[[key == same for key in point]]
    return found


def tiles(run: Run, table: pd.DataFrame) -> list[Tile]:
    """List the key figures of a run."""
    found = []
    timed = _timed_exponents(run)
    spoken = _spokesman(timed, baseline=baseline_of(run))
    for axis in ("n", "d"):
        verdict = next((item for item in timed if item.implementation == spoken and item.axis == axis), None)
        if verdict:
            remark = f"95 %: {units.interval(verdict.low, verdict.high)}" if not units.absent(verdict.low) else ""
            remark += ", inconclusive" if verdict.verdict == "inconclusive" else ""
            found.append(Tile(f"{axis}{units.power(verdict.exponent)}", f"time of {spoken}", remark))
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
    texts = claim_texts(run)
    return [
        VerdictTable(", ".join(key for key in keys if key), *_arranged(verdicts, texts))
        for keys, verdicts in groups.items()
    ]


def _arranged(verdicts: Sequence[Verdict], texts: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    implementations = tuple(sorted({verdict.implementation for verdict in verdicts}))
    claims: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        says = str(verdict.evidence.get("says") or texts.get(verdict.claim, ""))
        claims.setdefault((verdict.claim, says), []).append(verdict)
    rows = []
    for (claim, says), mine in sorted(claims.items()):
        by_name: dict[str, list[Verdict]] = {}
        for verdict in mine:
            by_name.setdefault(verdict.implementation, []).append(verdict)
        expects = str(mine[0].evidence.get("arithmetic") or "")
        cells = tuple(_cell(by_name[name]) if name in by_name else None for name in implementations)
        rows.append(Row(claim, units.raised(says), expects, cells))
    return implementations, tuple(rows)


def claim_texts(run: Run) -> dict[str, str]:
    """Return what each claim says, from the plan's scenarios."""
    found: dict[str, str] = {}
    for scenario in run.plan.scenarios if run.plan else []:
        for claim in scenario.claims:
            found.setdefault(claim.id, claim.says)
    return found


def precision_sentence(run: Run, table: pd.DataFrame) -> str:
    """Say how well times are known against what was asked, who is known worst, and what would help; "" if all met it.

    A case whose interval is wider than asked is no doubt about its time, only a limit on what it can tell apart.
    """
    ok = table[table["status"] == "ok"]
    wide = _flagged(ok, "wide")
    if not wide.any():
        return ""
    known = (ok["high_s"] / ok["low_s"]).map(np.log).dropna() / 2
    asked = _asked_precision(run)
    words = f"{wide.sum():,} of {units.counted(len(ok), 'time')} are"
    said = f"{words} known less precisely than asked for."
    if len(known):
        of_one = known.groupby(ok["implementation"]).median().sort_values(ascending=False)
        worst = [f"{name} {_within(float(width))}" for name, width in of_one.head(WORST_NAMED).items()]
        said = f"Half of the times are known to {_within(float(known.median()))} or better"
        said += (
            f"; ±{units.whole_percent(asked)} was asked for, and {wide.sum():,} of {len(ok):,} miss it" if asked else ""
        )
        said += f" (widest: {units.listing(worst)})." if len(of_one) > 1 else "."
    return f"{said} {_advice(ok[wide])}"


def _within(half_width: float) -> str:
    """Write half the width of an interval in log time: as a share, or as a factor where it is no small one."""
    return (
        f"±{units.percent(half_width)}"
        if half_width < CLOSE_TO_SHARE
        else f"a factor of {units.digits(math.exp(half_width))}"
    )


def _asked_precision(run: Run) -> float | None:
    """Return the relative half-width that a run was to reach, None where it does not say."""
    return run.plan.policy.timing.precision if run.plan else None


def _advice(wide: pd.DataFrame) -> str:
    """Say what would narrow intervals, by what ended the sampling of most wide cases."""
    ended = wide["stop_reason"].mode()
    rounds = units.plain(round(float(wide["rounds"].median())))
    if len(ended) and ended.iloc[0] == "interrupted":
        return f"They rest on {rounds} rounds: --resume takes the missing ones."
    if len(ended) and ended.iloc[0] == "time budget":
        return f"More rounds than {rounds} narrow them: twice the --time-budget, by about a third."
    return f"More rounds than {rounds} narrow them: --rigorous takes more, in several processes."


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
        if not any("ceiling" in warning.lower() for warning in run.summary.warnings):
            found += _moved_ceilings(run)
    waiting = int((table["status"] == "not run").sum())
    if waiting:
        found.append(f"{units.counted(waiting, 'planned case')} have no record yet.")
    for flag, words in FLAG_WORDS.items():
        number = int(_flagged(ok, flag).sum())
        if number:
            found.append(f"{units.counted(number, 'timed case')} of {len(ok):,} {words}.")
    if run.plan and run.plan.preset == "fast":
        found.append("Measured with --fast: few rounds, so slow drift of the machine is not covered.")
    if ok.empty:
        found.append("No case was timed.")
    return found


def _moved_ceilings(run: Run) -> list[str]:
    """Say which ceilings moved between the start and the end of a run: the machine was not the same."""
    before = {ceiling.name: ceiling.value for ceiling in (run.environment.ceilings if run.environment else ())}
    after = run.summary.ceilings_after if run.summary else []
    moved = [
        f"{ceiling.name} by {units.change(ceiling.value / before[ceiling.name])}"
        for ceiling in after
        if before.get(ceiling.name) and abs(ceiling.value / before[ceiling.name] - 1) > CEILING_MOVED
    ]
    return [f"The machine's ceilings moved over the run: {units.listing(moved)}."] if moved else []


def _flagged(ok: pd.DataFrame, flag: str) -> pd.Series[bool]:
    return ok["flags"].str.split().map(lambda flags: flag in flags).astype(bool)


FLAG_WORDS = {
    "drift": "changed speed over the run (drift)",
    "bimodal": "have two modes, so that one median does not describe them (bimodal)",
    "contaminated": "shared the machine with other work (contaminated)",
    "throttled": "ran while the device held its clocks back (throttled)",
}


def baseline_of(run: Run) -> str:
    """Return the implementation that speed-ups are relative to, empty without a plan."""
    return run.plan.baseline if run.plan else ""


def _timed_exponents(run: Run) -> list[Verdict]:
    """Return the exponents of time that were judged against the law n^2 d."""
    return [
        verdict
        for verdict in run.verdicts
        if verdict.quantity == "time"
        and verdict.exponent is not None
        and verdict.expected == EXPECTED.get(verdict.axis)
    ]


def _spokesman(timed: Iterable[Verdict], *, baseline: str) -> str:
    """Choose whose exponents to quote: one decided along n, the baseline first, then the narrowest interval."""
    along = [verdict for verdict in timed if verdict.axis == "n"]

    def rank(verdict: Verdict) -> tuple[bool, bool, float]:
        width = math.inf if verdict.low is None or verdict.high is None else verdict.high - verdict.low
        return verdict.verdict == "inconclusive", verdict.implementation != baseline, width

    return min(along, key=rank).implementation if along else baseline


def _tally(run: Run) -> str:
    """Count what became of the law n^2 d, and name the claims that no implementation bears out."""
    groups: dict[tuple[str, ...], list[Verdict]] = {}
    for verdict in run.verdicts:
        judged = (verdict.claim, str(verdict.evidence.get("says", "")), verdict.implementation)
        conditions = (verdict.device, verdict.dtype, verdict.direction)
        groups.setdefault((*judged, *conditions), []).append(verdict)
    law = {key: _deciding(mine) for key, mine in groups.items() if _is_law(mine)}
    said = []
    if law:
        good = [verdict for verdict in law.values() if verdict.verdict in {"confirmed", "consistent"}]
        noun = "implementation" if len({key[2] for key in law}) == len(law) else "judgement"
        words = f"O(n² d) is confirmed for {len(good)} of {units.counted(len(law), noun)}"
        for outcome, names in (("refuted", {"refuted", "contradicted"}), ("inconclusive", {"inconclusive"})):
            found = sorted({verdict.implementation for verdict in law.values() if verdict.verdict in names})
            words += f", {outcome} for {_some(found)}" if found else ""
        timed = [verdict for key in law for verdict in groups[key] if verdict.quantity == "time"]
        counts_only = good and timed and not any(verdict.verdict == "consistent" for verdict in timed)
        said.append(f"{words}{', by counted operations alone' if counts_only else ''}.")
    outcomes: dict[str, set[str]] = {}
    for key, mine in groups.items():
        outcomes.setdefault(key[0], set()).add(_deciding(mine).verdict)
    refuted = sorted(claim for claim, found in outcomes.items() if found <= {"refuted", "contradicted"})
    if refuted:
        texts = claim_texts(run)
        named = [f"{claim} ({units.raised(texts[claim])})" if texts.get(claim) else claim for claim in refuted]
        said.append(f"Refuted throughout: {units.listing(named)}.")
    return " ".join(said)


def _some(names: Sequence[str], *, at_most: int = 3) -> str:
    return units.listing([*names[:at_most], *([f"{len(names) - at_most} others"] if len(names) > at_most else [])])


def _is_law(verdicts: Sequence[Verdict]) -> bool:
    """Tell whether a claim says that time or operations grow with the square of n."""
    return any(
        verdict.axis == "n" and verdict.expected == EXPECTED["n"] and verdict.quantity in {"operations", "time", "all"}
        for verdict in verdicts
    ) and all(verdict.quantity != "memory" for verdict in verdicts)


def _deciding(verdicts: Sequence[Verdict]) -> Verdict:
    return next((verdict for verdict in verdicts if verdict.quantity == "all"), verdicts[0])


def _figure(verdict: Verdict) -> str:
    if verdict.exponent is None:
        return verdict.verdict
    # A ratio compares two amounts: its figure is a factor, no exponent.
    if verdict.axis == "causal" or verdict.evidence.get("law") == "ratio":
        return units.ratio(verdict.exponent)
    return f"{verdict.axis}{units.power(verdict.exponent)}"


def _cell(verdicts: Sequence[Verdict]) -> Cell:
    deciding = _deciding(verdicts)
    parts = [verdict for verdict in verdicts if verdict.quantity != "all"] or [deciding]
    figures: dict[str, list[str]] = {}
    for verdict in parts:
        span = units.interval(verdict.low, verdict.high) if verdict.low != verdict.high else ""
        mark = f" {MARKS[verdict.verdict]}" if verdict.verdict != deciding.verdict else ""
        figures.setdefault(verdict.quantity, []).append(f"{_figure(verdict)}{f' ({span})' if span else ''}{mark}")
    lines = [f"{quantity} {', '.join(found)}" for quantity, found in figures.items()]
    return Cell(deciding.verdict, MARKS[deciding.verdict], tuple(lines), with_units(deciding.reason))


def with_units(reason: str) -> str:
    """Write a verdict's reason for a reader: a fixed cost, which is in seconds, and bytes with their units."""
    text = re.sub(r"\bfixed cost of (\d[\d.e+-]*)", lambda of: f"fixed cost of {units.seconds(float(of[1]))}", reason)
    text = re.sub(
        r"(?<=takes )(\d[\d,]*)(?: bytes)?|\b(\d[\d,]*) bytes\b",
        lambda of: units.size(float((of[1] or of[2]).replace(",", ""))),
        text,
    )
    return units.raised(text)


def _missing(table: pd.DataFrame) -> str:
    rest = len(table) - int((table["status"] == "ok").sum())
    return f"{rest:,} without a time, with reasons below" if rest else "every planned case"
