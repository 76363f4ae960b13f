"""How far a chunk is, told by the process that measures it as JSON lines for the worker that waits for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TextIO

from harness.cluster.orders import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.records import Case, Preparation, Record
    from harness.runner.progress import Extra, Part, Phase

# Heartbeats carry the last line alone, every half a second at best.
LINE_SECONDS = 0.5


class StageLines:
    """Hear what a run does and write where it is, a line in half a second at most; a new phase always has its own."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._phase, self._total, self._done, self._last = "starting", 0.0, 0.0, float("-inf")

    def phase_begun(self, phase: Phase, *, cost: float, cases: int) -> None:  # noqa: ARG002  # costs tell more
        """Begin a phase."""
        self._begin(phase, cost)

    def round_begun(self, number: int, *, cost: float, cases: int) -> None:  # noqa: ARG002  # the same
        """Begin a round, as a phase."""
        self._begin(f"round {number}", cost)

    def prepared(self, case: Case, preparation: Preparation, *, cost: float) -> None:  # noqa: ARG002  # not shown
        """Move on."""
        self._advance(cost, case.label)

    def done(self, case: Case, *, cost: float) -> None:
        """Move on."""
        self._advance(cost, case.label)

    def failed(self, record: Record, *, cost: float) -> None:
        """Move on, and say how a case failed."""
        self._advance(cost, f"{record.case.label}: {record.status}, {record.reason}")

    def missed(self, case: Case, extra: Extra, reason: str, *, cost: float) -> None:  # noqa: ARG002  # the record has it
        """Move on."""
        self._advance(cost, case.label)

    def left_out(self, part: Part, cases: Sequence[Case], *, budget: float) -> None:
        """Say nothing: the part's summary says it."""

    def brought_back(self, cases: Sequence[Case]) -> None:
        """Say nothing: they have records."""

    def rounds_expected(self, rounds: int, *, aimed: int) -> None:
        """Say nothing: the report says it."""

    def crowded(self, processes: Sequence[str]) -> None:
        """Say nothing: the part's summary says it."""

    def waiting(self, processes: Sequence[str], *, seconds: float) -> None:  # noqa: ARG002  # on a screen a line is short
        """Say that others take the cores."""
        self._begin("waiting for the cores", seconds)

    def unavailable(self, source: str, reason: str) -> None:
        """Say which source gives no implementation."""
        self._write(f"{source}: {reason}")

    def examining(self, implementation: str, dtype: str, *, probes: int) -> None:
        """Say nothing: no chunk examines."""

    def probed(self) -> None:
        """Say nothing: no chunk examines."""

    def judging(self) -> None:
        """Say that the claims are judged."""
        self._begin("judging", 0.0)

    def interrupted(self) -> None:
        """Say nothing: the answer says it."""

    def replaced(self, implementation: str) -> None:
        """Say nothing: no chunk goes on with a run."""

    def resumed(self, directory: str) -> None:
        """Say nothing: no chunk goes on with a run."""

    def nothing_left(self, directory: str) -> None:
        """Say nothing: no chunk goes on with a run."""

    def _begin(self, phase: str, total: float) -> None:
        self._phase, self._total, self._done = phase, total, 0.0
        self._write("")

    def _advance(self, cost: float, line: str) -> None:
        self._done += cost
        if self._clock() - self._last >= LINE_SECONDS:
            self._write(line)

    def _write(self, line: str) -> None:
        self._last = self._clock()
        share = min(1.0, self._done / self._total) if self._total > 0.0 else 0.0
        print(Stage(phase=self._phase, share=share, line=line).model_dump_json(), file=self._stream, flush=True)
