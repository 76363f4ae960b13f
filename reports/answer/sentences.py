"""The answer of a run: one sentence on the law, one on who is fastest, and a row for each device and dtype."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.results.frontier import frontiers
from reports import units
from reports.answer.fastest import contrast, contrast_sentence
from reports.answer.inputs import values_sentence
from reports.answer.law import counted_words, decoding_sentence, laws, memory_sentence, sentence, timed_words
from reports.answer.skipping import skipping_sentence
from reports.answer.tuning import tuning_sentences
from reports.figures.scaling import frontier

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.results.run import Run
    from reports.answer.law import Law

NOT_JUDGED = "not judged yet"
# What tells answers of one run apart.
CONDITIONS = ("device", "dtype", "direction")


@dataclass(frozen=True)
class Row:
    """The answer under one device, dtype and direction, each part in a few words."""

    where: str
    counted: str
    timed: str
    fastest: str
    memory: str


def sentences(run: Run, table: pd.DataFrame) -> list[str]:
    """Answer the main question for one run in one sentence; a second says who is fastest.

    Others say who skips what a causal mask hides, how far memory reaches, on what values times hold, and what options
    are worth, where a run asked.
    """
    ok = _timed(table)
    said = [
        law_sentence(run, table),
        contrast_sentence(_like(ok, _leading(run)), baseline=baseline_of(run)),
        skipping_sentence(run),
        *(frontier.finding(sweep) for sweep in frontiers(run)[:1]),
        values_sentence(ok),
        *tuning_sentences(run),
    ]
    return [sentence for sentence in said if sentence]


def law_sentence(run: Run, table: pd.DataFrame) -> str:
    """Answer whether cost grows as n² d, or say why this run can't tell."""
    if not run.judged:
        return f"The scaling claims are {NOT_JUDGED}: this run holds measurements, but no verdicts."
    found = laws(run)
    if found:
        return sentence(found[0], where=_where(found[0], found))
    if decoding := decoding_sentence(run):
        return decoding
    if by_bytes := memory_sentence(run):
        return by_bytes
    sizes = _timed(table)["n"].dropna().unique()
    if not (table["status"] == "ok").any():
        why = "no case was timed"
    elif len(sizes) == 1:
        why = f"it has one size, n = {units.plain(float(sizes[0]))}"
    else:
        return "This run judged no law: it has times and bytes, but no claim about how they grow."
    return f"This run can't tell how cost grows: {why}."


def rows(run: Run, table: pd.DataFrame) -> list[Row]:
    """Answer for each device, dtype and direction of a run in a row; none if the run has one of each."""
    ok, found = _timed(table), laws(run)
    timed = ok.groupby(list(CONDITIONS), sort=False).size().sort_values(ascending=False, kind="stable").index.tolist()
    judged = [(law.device, law.dtype, law.direction) for law in found]
    every = list(dict.fromkeys([*judged, *timed]))
    if len(every) < 2:  # noqa: PLR2004
        return []
    listed = []
    for key in every:
        law = found[judged.index(key)] if key in judged else None
        best = contrast(_at(ok, key), baseline=baseline_of(run))
        listed.append(
            Row(
                where=_differing(key, every),
                counted=counted_words(law) if law else units.ABSENT,
                timed=timed_words(law) if law else units.ABSENT,
                fastest=f"{best.fastest}, {units.seconds(best.seconds)} at n = {units.plain(best.n)}"
                if best
                else units.ABSENT,
                memory=units.size(best.extra) if best else units.ABSENT,
            )
        )
    return listed


def _where(law: Law, found: list[Law]) -> str:
    """Name what tells one answer from the others, "" if there are none."""
    every = [(one.device, one.dtype, one.direction) for one in found]
    return _differing((law.device, law.dtype, law.direction), every) if len(found) > 1 else ""


def _differing(key: tuple[str, ...], every: Sequence[tuple[str, ...]]) -> str:
    parts = [part for place, part in enumerate(key) if part and len({other[place] for other in every}) > 1]
    return ", ".join(parts)


def _leading(run: Run) -> Law | None:
    found = laws(run)
    return found[0] if found else None


def _timed(table: pd.DataFrame) -> pd.DataFrame:
    found: pd.DataFrame = table[(table["status"] == "ok") & (table["problem"] == "attention")]
    return found


def _like(ok: pd.DataFrame, law: Law | None) -> pd.DataFrame:
    """Return the timed cases that an answer is about, all if none are of its kind."""
    if law is None:
        return ok
    alike = _at(ok, (law.device, law.dtype, law.direction))
    return ok if alike.empty else alike


def _at(ok: pd.DataFrame, key: tuple[str, ...]) -> pd.DataFrame:
    chosen = ok
    for name, value in zip(CONDITIONS, key, strict=True):
        if value:
            chosen = chosen[chosen[name] == value]
    return chosen


def baseline_of(run: Run) -> str:
    """Return the implementation that speed-ups are relative to, empty without a plan."""
    return run.plan.baseline if run.plan else ""


def leading_cases(run: Run, table: pd.DataFrame) -> pd.DataFrame:
    """Return the timed attention cases that the first sentences are about."""
    return _like(_timed(table), _leading(run))
