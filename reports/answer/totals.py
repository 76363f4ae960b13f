"""What a program's attention costs in all, in words: a row for each implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.results.pairs.totals import totals
from reports import units
from reports.answer.sentences import baseline_of

if TYPE_CHECKING:
    from harness.results.pairs.totals import Total
    from harness.results.run import Run

CAPTION = "All calls of the program together"


def columns(run: Run) -> tuple[str, ...]:
    """Name the columns of `rows`."""
    return ("calls of", "implementation", "calls timed", "time in all", "95 % interval", f"saved of {baseline_of(run)}")


def rows(run: Run) -> list[tuple[str, ...]]:
    """Return a row for each implementation's total; none if no scenario is the calls of a program."""
    return [
        (
            total.scenario,
            total.implementation,
            f"{total.timed} of {total.calls}",
            units.seconds(total.seconds),
            "none" if total.low is None else f"{units.seconds(total.low)} to {units.seconds(total.high)}",
            saving(total),
        )
        for total in totals(run, baseline=baseline_of(run))
    ]


def saving(total: Total) -> str:
    """Write what is saved of the baseline's time over the calls that both were timed at, with its interval."""
    if total.saved is None:
        return units.ABSENT
    if total.saved == total.saved_low == total.saved_high == 0:
        return "nothing"
    return f"{units.percent(total.saved)} ({units.percent(total.saved_low)} to {units.percent(total.saved_high)})"
