"""The answer to the main question in a few sentences, and the key figures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.results.regret import regrets
from reports import units
from reports.answer.verdicts import claim_texts, deciding
from reports.figures.figure import top
from reports.figures.marks import EXPECTED
from reports.figures.speed.regret import finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from harness.results.run import Run
    from harness.results.verdicts_file import Verdict

NOT_JUDGED = "not judged yet"
# Within a tenth two implementations tell no story.
CLOSE = 1.1
# Beyond this a share of memory is a number that tells nobody anything.
LITTLE = 1e5
# A point that nearly all implementations reached speaks for them, even if a slow one stopped earlier.
SHARED_BY_MOST = 0.7
AXES_OF_LAW = ("n", "d", "heads", "batch")
# What becomes of a claim that is borne out, and of one that is not.
HELD, FAILED = frozenset({"confirmed", "consistent"}), frozenset({"refuted", "contradicted"})


@dataclass(frozen=True)
class Tile:
    """One key figure: a value with what it is, and a remark."""

    value: str
    label: str
    remark: str = ""


def sentences(run: Run, table: pd.DataFrame) -> list[str]:
    """Answer the main question for one run in one to three sentences."""
    ok = table[(table["status"] == "ok") & (table["problem"] == "attention")]
    said = [law_sentence(run)]
    contrast = contrast_sentence(ok, baseline=baseline_of(run))
    if contrast:
        said.append(contrast)
    choices = regrets(run)
    if choices:
        said.append(finding(choices))
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
    quoted = _quoted(timed, baseline=baseline_of(run))
    grows, unclear = [], []
    for axis in AXES_OF_LAW:
        verdict = next((item for item in timed if item.implementation == quoted and item.axis == axis), None)
        if verdict is None:
            continue
        is_known = verdict.low is not None and verdict.high is not None
        span = f"{verdict.low:.2f} to {verdict.high:.2f}" if is_known else ""
        if verdict.verdict == "inconclusive":
            unclear.append(f"{axis} (exponent {span})" if span else axis)
        else:
            grows.append(f"{axis}{units.power(verdict.exponent)}{f' ({span})' if span else ''}")
    said = []
    if grows:
        said.append(f"On this machine the time of {quoted} grows as {units.listing(grows)}.")
    if unclear:
        said.append(f"Measured time alone decides nothing for {quoted} along {units.listing(unclear)}.")
    tally = _tally(run)
    return " ".join([*said, *([tally] if tally else [])]) or "No claim was judged in this run."


def contrast_sentence(ok: pd.DataFrame, *, baseline: str) -> str:
    """Set the quickest implementation at the largest n against the baseline, or the one with most extra memory.

    The second where the baseline itself is the quickest, or within a tenth of it.
    """
    point = _largest_point(ok)
    if point.empty or point["implementation"].nunique() < 2:  # noqa: PLR2004  (a contrast has two sides)
        return ""
    quickest = point.sort_values("time_s").iloc[0]
    others = point[point["implementation"] != quickest["implementation"]]
    against = others[(others["implementation"] == baseline) & (others["time_s"] > CLOSE * quickest["time_s"])]
    if against.empty:
        against = others.sort_values(["extra_bytes", "time_s"], na_position="first").tail(1)
    other = against.iloc[0]
    factor, n = units.ratio(other["time_s"] / quickest["time_s"]), units.plain(quickest["n"])
    words = f"At n = {n} {quickest['implementation']} is {factor} as fast as {other['implementation']}"
    mine, theirs = quickest["extra_bytes"], other["extra_bytes"]
    if not units.absent(mine) and not units.absent(theirs) and theirs > mine > 0:
        many = theirs / mine
        share = f"1/{units.digits(many, significant=2)} of its extra memory" if many < LITTLE else "little extra memory"
        words += f" and takes {share}, {units.size(mine)} against {units.size(theirs)}"
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
    quoted = _quoted(timed, baseline=baseline_of(run))
    for axis in ("n", "d"):
        verdict = next((item for item in timed if item.implementation == quoted and item.axis == axis), None)
        if verdict:
            remark = f"95 %: {units.interval(verdict.low, verdict.high)}" if not units.absent(verdict.low) else ""
            remark += ", inconclusive" if verdict.verdict == "inconclusive" else ""
            found.append(Tile(f"{axis}{units.power(verdict.exponent)}", f"time of {quoted}", remark))
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


def _quoted(timed: Iterable[Verdict], *, baseline: str) -> str:
    """Choose whose exponents to quote: one decided along n, the baseline first, then the narrowest interval."""
    along = [verdict for verdict in timed if verdict.axis == "n"]

    def rank(verdict: Verdict) -> tuple[bool, bool, float]:
        width = math.inf if verdict.low is None or verdict.high is None else verdict.high - verdict.low
        return verdict.verdict == "inconclusive", verdict.implementation != baseline, width

    return min(along, key=rank).implementation if along else baseline


def _tally(run: Run) -> str:
    """Count what became of the law n^2 d, and name the claims that no implementation bears out."""
    judged: dict[tuple[str, ...], list[Verdict]] = {}
    for verdict in run.verdicts:
        claim = (verdict.claim, verdict.says, verdict.implementation)
        judged.setdefault((*claim, verdict.device, verdict.dtype, verdict.direction), []).append(verdict)
    of_law = [verdicts for verdicts in judged.values() if _is_law(verdicts)]
    sentences = [_of_law(of_law), _refuted_throughout(judged.values(), texts=claim_texts(run))]
    return " ".join(sentence for sentence in sentences if sentence)


def _of_law(judgements: Sequence[Sequence[Verdict]]) -> str:
    """Say for how many implementations the law n^2 d is confirmed, and for which not; "" if it was not judged."""
    if not judgements:
        return ""
    decided = [deciding(verdicts) for verdicts in judgements]
    names = {verdict.implementation for verdict in decided}
    good = sum(verdict.verdict in HELD for verdict in decided)
    noun = "implementation" if len(names) == len(decided) else "judgement"
    words = f"O(n² d) is confirmed for {good} of {units.counted(len(decided), noun)}"
    for outcome, kinds in (("refuted", FAILED), ("inconclusive", {"inconclusive"})):
        those = sorted({verdict.implementation for verdict in decided if verdict.verdict in kinds})
        words += f", {outcome} for {_some(those)}" if those else ""
    times = [verdict.verdict for verdicts in judgements for verdict in verdicts if verdict.quantity == "time"]
    by_counts = good and times and "consistent" not in times
    return f"{words}{', by counted operations alone' if by_counts else ''}."


def _refuted_throughout(judgements: Iterable[Sequence[Verdict]], *, texts: Mapping[str, str]) -> str:
    """Name the claims that are refuted or contradicted wherever they were judged, "" if there are none."""
    outcomes: dict[str, set[str]] = {}
    for verdicts in judgements:
        decided = deciding(verdicts)
        outcomes.setdefault(decided.claim, set()).add(decided.verdict)
    claims = sorted(claim for claim, found in outcomes.items() if found <= FAILED)
    named = [f"{claim} ({units.raised(texts[claim])})" if texts.get(claim) else claim for claim in claims]
    return f"Refuted throughout: {units.listing(named)}." if named else ""


def _some(names: Sequence[str], *, at_most: int = 3) -> str:
    return units.listing(
        [*names[:at_most], *([units.counted(len(names) - at_most, "other")] if len(names) > at_most else [])]
    )


def _is_law(verdicts: Sequence[Verdict]) -> bool:
    """Tell whether a claim says that time or operations grow with the square of n."""
    return any(
        verdict.axis == "n" and verdict.expected == EXPECTED["n"] and verdict.quantity in {"operations", "time", "all"}
        for verdict in verdicts
    ) and all(verdict.quantity != "memory" for verdict in verdicts)


def _missing(table: pd.DataFrame) -> str:
    rest = len(table) - int((table["status"] == "ok").sum())
    return f"{rest:,} without a time, with reasons below" if rest else "every planned case"
