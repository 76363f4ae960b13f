"""The verdicts of `attnbench verify` for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.tables.reading import printable

if TYPE_CHECKING:
    from harness.verdicts.table import Verification


def lines(verification: Verification) -> list[str]:
    """Return the verdicts as text, a line each with what to run where one is inconclusive."""
    shown = []
    for group in verification.groups:
        name = ", ".join(f"{column}={printable(value)}" for column, value in group.key.items())
        law = f"{verification.y} ~ {verification.x}^{verification.exponent:g}"
        shown.append(f"{name + ': ' if name else ''}{law} is {group.verdict}: {group.reason}")
        if group.to_decide:
            shown.append(f"  to decide, {group.to_decide}")
    return [*shown, *(f"note: {note}" for note in verification.notes)]
