"""What a run tells while it works: events that carry facts. Whoever listens puts them into words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.records import Case, Preparation, Record

# Rounds are phases too, by their number.
Phase = Literal["agreement", "counting operations", "sustained load", "fresh memory", "agreement on fresh inputs"]
# What a time budget may not hold.
Part = Literal["cases", "sustained load", "fresh memory", "agreement on fresh inputs"]
# What is measured of a case beside its time; without it the case stays.
Extra = Literal["operations", "fresh memory"]


class Progress(Protocol):
    """Hear what a run does.

    A phase begins with its `cost`, and each of its cases ends with a part of it: predicted seconds, or one per case
    if nothing predicts them.
    """

    def phase_begun(self, phase: Phase, *, cost: float, cases: int) -> None:
        """Begin a phase over so many cases."""

    def round_begun(self, number: int, *, cost: float, cases: int) -> None:
        """Begin the round of this number, counted from 1, as a phase of its own."""

    def prepared(self, case: Case, preparation: Preparation, *, cost: float) -> None:
        """Hear that a case agreed, and what was learnt of it."""

    def done(self, case: Case, *, cost: float) -> None:
        """Hear that the phase is through with a case."""

    def failed(self, record: Record, *, cost: float) -> None:
        """Hear that a case failed and is closed, with its record."""

    def missed(self, case: Case, extra: Extra, reason: str, *, cost: float) -> None:
        """Hear that something beside the time of a case could not be measured."""

    def left_out(self, part: Part, cases: Sequence[Case], *, budget: float) -> None:
        """Hear which cases, or which part of them, a time budget in seconds does not hold; dearest first."""

    def brought_back(self, cases: Sequence[Case]) -> None:
        """Hear which cases of those left out before there is time for after all."""

    def rounds_expected(self, rounds: int, *, aimed: int) -> None:
        """Hear, before anything is measured, that the budget holds fewer rounds than are aimed at."""

    def crowded(self, processes: Sequence[str]) -> None:
        """Hear, before anything is measured, that these take the cores that the run has threads for."""

    def waiting(self, processes: Sequence[str], *, seconds: float) -> None:
        """Hear that the run waits for at most so many seconds, as others take the cores; who, where that is known."""

    def unavailable(self, source: str, reason: str) -> None:
        """Hear that a source gives no implementation here."""

    def examining(self, implementation: str, dtype: str, *, probes: int) -> None:
        """Hear that an implementation is held against so many probes of the battery."""

    def probed(self) -> None:
        """Hear that one of them is answered."""

    def judging(self) -> None:
        """Hear that nothing is left to measure, and the claims are judged."""

    def interrupted(self) -> None:
        """Hear that the user ended the run early."""

    def replaced(self, implementation: str) -> None:
        """Hear that an implementation's source changed since the run was begun, and that it is measured anew."""

    def resumed(self, directory: str) -> None:
        """Hear that a run goes on, under the plan that is stored there."""

    def nothing_left(self, directory: str) -> None:
        """Hear that the run to go on with is finished."""
