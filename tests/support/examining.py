"""The battery in this process, without a worker: for implementations that are known to leave the process alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.gate import battery
from harness.worker.__main__ import failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.records import ProbeOutcome


def examine(
    examinee: battery.Examinee,
    *,
    quick: bool = False,
    only: str = "",
    order: Callable[[battery.Task], Any] = lambda _: 0,
) -> Iterator[ProbeOutcome]:
    """Yield the outcome of every task, in an order; what the implementation raises becomes a reason."""
    for task in sorted(battery.tasks(examinee.problem, quick=quick, only=only), key=order):
        try:
            yield battery.run(examinee, task)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001
            failed = failure(error)
            yield battery.unanswered(examinee, task, status=failed.status, reason=failed.reason)
