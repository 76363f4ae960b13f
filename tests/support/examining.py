"""The battery in this process, without a worker: for implementations that are known to leave the process alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.gate import battery
from harness.worker.__main__ import failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.records import ProbeOutcome


def examine(examinee: battery.Examinee, *, quick: bool = False, only: str = "") -> Iterator[ProbeOutcome]:
    """Yield the outcome of every task; what the implementation raises becomes a reason."""
    for task in battery.tasks(examinee.problem, quick=quick, only=only):
        try:
            yield battery.run(examinee, task)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001
            failed = failure(error)
            yield battery.unanswered(examinee, task, status=failed.status, reason=failed.reason)
