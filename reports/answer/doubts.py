"""Doubts about a measurement: how well times are known, and what a reader should know before trusting a number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.policy import DEFAULT
from reports import units
from reports.frame import APPROXIMATE, AXES

if TYPE_CHECKING:
    import pandas as pd

    from harness.results.run import Run

# Below this, half a width in log time is the share that it is of the time.
CLOSE_TO_SHARE = 0.4
# As many damaged lines of a journal are told of.
DAMAGES_AT_MOST = 3
# As many implementations with wide intervals are named.
WORST_NAMED = 2
# The normal quantile of 95 % intervals.
NORMAL = 1.96
# Of the reason for a missing baseline as much is quoted.
REASON_CHARACTERS = 120
# What cases share that compare, their sizes aside.
SHARED = ("problem", "dtype", "device", "direction", "cache")


def precision_sentence(run: Run, table: pd.DataFrame) -> str:
    """Say how well times are known against what was asked, who is known worst, and what would help; "" if all met it.

    A time without an interval misses it as well. A wider interval than requested does not make the time doubtful; it
    limits how small a difference the case can resolve. A run without a plan says nothing of what was asked.
    """
    ok = table[table["status"] == "ok"]
    asked = _asked_precision(run)
    half = (ok["high_s"] / ok["low_s"]).map(np.log) / 2
    if asked is None:
        return ""
    missed = ~(half <= asked)
    if not missed.any():
        return ""
    known = half.dropna()
    if known.empty:
        said = f"{missed.sum():,} of {units.counted(len(ok), 'time')} are known less precisely than asked for."
    else:
        of_one = known.groupby(ok["implementation"]).max().sort_values(ascending=False)
        worst = [f"{name} {_within(float(width))}" for name, width in of_one.head(WORST_NAMED).items()]
        said = f"Half of the times are known to {_within(float(known.median()))} or better"
        said += f"; ±{units.percent(asked)} was asked for, and {missed.sum():,} of {len(ok):,} miss it"
        said += f" (widest: {units.listing(worst)})." if len(of_one) > 1 else "."
    return f"{said} {_advice(ok[missed])}"


def _within(half_width: float) -> str:
    """Write half the width of an interval in log time: as a share, or as a factor if it is large."""
    return (
        f"±{units.percent(half_width)}"
        if half_width < CLOSE_TO_SHARE
        else f"within a factor of {units.digits(math.exp(half_width))}"
    )


def _asked_precision(run: Run) -> float | None:
    """Return the relative half-width that a run's intervals were to have, None if it has no plan.

    Its policy asks for a width within a process; what processes differ by is part of every interval, and no round
    narrows it.
    """
    if run.plan is None:
        return None
    policy = run.plan.policy
    between = NORMAL * policy.comparison.process_deviation / math.sqrt(policy.timing.processes)
    return math.hypot(policy.timing.precision, between)


def _advice(wide: pd.DataFrame) -> str:
    """Say what would narrow intervals, by what ended the sampling of most wide cases."""
    ended = wide["stop_reason"].mode()
    rounds = units.plain(round(float(wide["rounds"].median())))
    if len(ended) and ended.iloc[0] == "interrupted":
        return f"They rest on {rounds} rounds: --resume takes the missing ones."
    if len(ended) and ended.iloc[0] == "time budget":
        return f"More than {rounds} rounds would narrow them; doubling --time-budget, by about a third."
    return f"More than {rounds} rounds would narrow them; --rigorous takes more, in several processes."


def warnings(run: Run, table: pd.DataFrame) -> list[str]:
    """List what a reader should know before trusting a number."""
    found = []
    ok = table[table["status"] == "ok"]
    if run.torn:
        shown = "; ".join(run.damages[:DAMAGES_AT_MOST]) + ("; …" if run.torn > DAMAGES_AT_MOST else "")
        verb = "is torn or damaged, and" if run.torn == 1 else "are torn or damaged, and"
        found.append(f"{units.counted(run.torn, 'line')} of the journal {verb} left out: {shown}.")
    if run.summary is None:
        found.append("The run has no summary: it was interrupted or is still under way.")
    else:
        if not run.summary.complete:
            found.append("The run is not complete: resume it to measure the rest.")
        found += run.summary.warnings
        if not any("ceiling" in warning.lower() for warning in run.summary.warnings):
            found += _moved_ceilings(run)
    found += baseline_gaps(table, baseline=run.plan.baseline if run.plan else "")
    waiting = int((table["status"] == "not run").sum())
    if waiting:
        found.append(f"{units.counted(waiting, 'planned case')} have no record yet.")
    found += doubtful(table)
    beside = ok["neighbours"] > 0
    if beside.any():
        most = units.counted(int(ok["neighbours"].max()), "other run")
        found.append(f"During {units.counted(int(beside.sum()), 'timed case')} up to {most} measured on the same host.")
    found += _approximations(ok)
    if run.plan and run.plan.preset == "fast":
        found.append("Measured with --fast: few rounds, so slow drift of the machine is not covered.")
    if ok.empty:
        found.append("No case was timed.")
    return found


def doubtful(table: pd.DataFrame) -> list[str]:
    """Say in one sentence how many times carry which doubt; none if none do."""
    ok = table[table["status"] == "ok"]
    flagged = [(int(_flagged(ok, flag).sum()), words) for flag, words in FLAG_WORDS.items()]
    told = [f"{number:,} {words}" for number, words in flagged if number]
    return [f"Of {units.counted(len(ok), 'timed case')} {units.listing(told)}."] if told else []


def _approximations(ok: pd.DataFrame) -> list[str]:
    """Say how far each approximate implementation is from the oracle."""
    said = []
    for name, rows in ok[ok["approximate"] == 1].groupby("implementation", sort=False):
        words = [
            f"cosine similarity {units.digits(rows['cosine'].min(), significant=4)}",
            f"relative L1 {units.percent(rows['relative_l1'].max())}",
            f"RMSE {units.digits(rows['rmse'].max())}",
            f"largest error {units.digits(rows['largest_error'].max())}",
        ]
        plain = str(name).removesuffix(APPROXIMATE)
        said.append(
            f"{plain} is approximate, so its times do not compare with those of exact ones: "
            f"{', '.join(words)}, at worst."
        )
    return said


def baseline_gaps(table: pd.DataFrame, *, baseline: str) -> list[str]:
    """Say where others were timed and the baseline was not, so that they have no speed-up there, and why it was not."""
    known = table[table["problem"].isin(set(table.loc[table["implementation"] == baseline, "problem"]))]
    if known.empty:
        return []
    # NaN never equals NaN; text does.
    place = known[[*SHARED, *AXES]].map(str).agg(" ".join, axis=1)
    is_base, is_ok = known["implementation"] == baseline, known["status"] == "ok"
    lacking = is_ok & ~is_base & ~place.isin(set(place[is_base & is_ok]))
    if not lacking.any():
        return []
    rows = known[is_base & ~is_ok & place.isin(set(place[lacking]))]
    told = [
        f"{status} in {units.counted(len(alike), 'case')}, {str(alike['reason'].iloc[0])[:REASON_CHARACTERS]}"
        for status, alike in rows.groupby("status", sort=False)
    ]
    why = f" ({'; '.join(told)})" if told else ""
    cases = units.counted(int(lacking.sum()), "timed case")
    return [f"{cases} of others have no speed-up: {baseline}, the baseline, was not timed there{why}."]


def _moved_ceilings(run: Run) -> list[str]:
    """Say which ceilings moved between the start and the end of a run: the machine was not the same."""
    before = {ceiling.name: ceiling.value for ceiling in (run.environment.ceilings if run.environment else ())}
    after = run.summary.ceilings_after if run.summary else []
    allowed = (run.plan.policy if run.plan else DEFAULT).run.ceiling_drift
    moved = [
        f"{ceiling.name} by {units.change(ceiling.value / before[ceiling.name])}"
        for ceiling in after
        if before.get(ceiling.name) and abs(ceiling.value / before[ceiling.name] - 1) > allowed
    ]
    return [f"The machine's ceilings moved over the run: {units.listing(moved)}."] if moved else []


def _flagged(ok: pd.DataFrame, flag: str) -> pd.Series[bool]:
    return ok["flags"].str.split().map(lambda flags: flag in flags).astype(bool)


FLAG_WORDS = {
    "drift": "changed speed over the run (drift)",
    "bimodal": "showed two modes, so that one number does not describe them (bimodal)",
    "contaminated": "shared the machine with other work (contaminated)",
    "throttled": "ran while the device lowered its clocks (throttled)",
    "lingering": "left threads at work that disturb what is timed next (lingering)",
}
