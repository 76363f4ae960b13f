"""The one caveat that a reader of the first screen must know, in plain words, with what to do about it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from reports import units
from reports.answer.doubts import doubtful, warnings
from reports.answer.law import HELD, laws
from reports.answer.reasons import advice
from reports.frame import APPROXIMATE

if TYPE_CHECKING:
    import pandas as pd

    from harness.results.run import Run

# Fewer doubtful cases than this share of those timed are no caveat of the whole.
SHARE_WORTH_TELLING = 0.05
WRONG = ("disagreed", "fallback", "invalid")
# What each flag of a time means to a reader, and what to do about it.
FLAG_ADVICE = {
    "drift": "changed speed over the run: measure again when the machine is quiet and its clocks are steady",
    "bimodal": "showed two speeds, so one number does not describe them: look at their samples in the table of cases",
    "contaminated": "shared the machine with other work: measure again when it is quiet",
    "throttled": "ran while the device was throttled: improve its cooling or lower its clocks, and measure again",
}
# What to do about the warnings of a run, by words of theirs.
WARNING_ADVICE = {
    "ceilings moved": "compare times within this run alone, or measure again on a quiet machine",
    "shared the machine": "measure again when it is quiet",
    "took the cores": "measure again when it is quiet",
    "on the GPU": "measure again when it is quiet",
    "threads were asked for": "ask for fewer with --threads",
    "A quota of": "ask for fewer threads with --threads, or for a larger quota",
    "have no speed-up": "choose another with --baseline",
}


def caveat(run: Run, table: pd.DataFrame) -> str:
    """Return the most important doubt about a run with what to do about it, "" if there is none worth a line."""
    return (
        _without_times(table)
        or _unfinished(run, table)
        or _wrong(run, table)
        or _damaged(run, table)
        or _flags(table)
        or _fast(run)
        or _undecided(run)
    )


def _without_times(table: pd.DataFrame) -> str:
    if (table["status"] == "ok").any():
        return ""
    return "No case was timed: the table of cases gives the reason for each."


def _unfinished(run: Run, table: pd.DataFrame) -> str:
    if run.summary is not None and run.summary.complete:
        return ""
    waiting = int((table["status"] == "not run").sum())
    missing = f", and {waiting:,} of {units.counted(len(table), 'planned case')} have no record" if waiting else ""
    return f"The run did not finish{missing}: attnbench run --resume -o {shlex.quote(str(run.path))} measures the rest."


def _wrong(run: Run, table: pd.DataFrame) -> str:
    wrong = table[table["status"].isin(WRONG)]
    if wrong.empty:
        return ""
    names = sorted(wrong["implementation"].unique())
    verb = "has" if len(wrong) == 1 else "have"
    return (
        f"{units.counted(len(wrong), 'case')} of {units.listing(names)} {verb} no time, because the answer was wrong "
        f"or another kernel ran than the one asked for: {_checking(run, wrong, names[0])} shows where."
    )


def _checking(run: Run, wrong: pd.DataFrame, name: str) -> str:
    """Write the command that holds one implementation of a run against the oracle."""
    problem = str(wrong.loc[wrong["implementation"] == name, "problem"].iloc[0])
    words = ["attnbench", "check", "--impl", name.removesuffix(APPROXIMATE)]
    words += ["--problem", problem] if problem != "attention" else []
    for path in run.plan.impl_files if run.plan else ():
        words += ["--impl-file", path]
    return shlex.join(words)


def _damaged(run: Run, table: pd.DataFrame) -> str:
    """Return the first of the warnings about files, machine and baseline, which say themselves what they mean."""
    told = set(doubtful(table))
    rest = [warning for warning in warnings(run, table) if warning not in told and "--fast" not in warning]
    return _advised(rest[0]) if rest else ""


def _advised(warning: str) -> str:
    """Add what to do about a warning of the run itself, if there is something to do."""
    for words, wanted in WARNING_ADVICE.items():
        if words in warning:
            return f"{warning.rstrip('.')}: {wanted}."
    return warning


def _flags(table: pd.DataFrame) -> str:
    ok = table[table["status"] == "ok"]
    counts = {
        flag: int(ok["flags"].str.split().map(lambda flags, one=flag: one in flags).sum()) for flag in FLAG_ADVICE
    }
    flag, many = max(counts.items(), key=lambda item: item[1])
    if many < SHARE_WORTH_TELLING * len(ok) or not many:
        return ""
    return f"{many:,} of {units.counted(len(ok), 'timed case')} {FLAG_ADVICE[flag]}."


def _fast(run: Run) -> str:
    if run.plan is None or run.plan.preset != "fast":
        return ""
    return "Measured with --fast, in so few rounds that slow drift of the machine can mislead: leave it out to be sure."


def _undecided(run: Run) -> str:
    """Say what would decide the time of most implementations where no time decides."""
    leading = next(iter(laws(run)), None)
    if leading is None or leading.in_time or not leading.timed.get("n"):
        return ""
    wanted = [
        advice(verdict.to_decide)
        for verdict in leading.timed["n"].values()
        if verdict.verdict not in HELD and verdict.to_decide is not None
    ]
    if not wanted:
        return ""
    commonest = max(dict.fromkeys(wanted), key=wanted.count)
    return f"Measured times are inconclusive along n: {commonest}."
