"""Sizes that follow another one: `256 / heads`, `4 * n_q`, `n / 2`."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

# `NUMBER / axis`, `NUMBER * axis` or `axis / NUMBER`.
FORM = re.compile(
    r"(?P<number>[0-9]+) *(?P<operator>[/*]) *(?P<axis>[a-z]\w*)|(?P<divided>[a-z]\w*) */ *(?P<by>[1-9][0-9]*)"
)


class Tie(NamedTuple):
    """How a follower is computed from its axis: `number` over it (/), times it (*), or divided by it (by)."""

    number: int
    operator: Literal["/", "*", "by"]

    def of(self, size: int) -> int | None:
        """Return the follower's size beside one of the axis, None if it is not whole."""
        if self.operator == "*":
            return self.number * size
        above, below = (self.number, size) if self.operator == "/" else (size, self.number)
        return None if above % below else above // below


def read_tie(expression: object) -> tuple[str, Tie] | None:
    """Return the axis that an expression names, and the tie to it; None for what is no tie."""
    parts = FORM.fullmatch(expression) if isinstance(expression, str) else None
    if parts is None:
        return None
    if parts["divided"]:
        return parts["divided"], Tie(int(parts["by"]), "by")
    return parts["axis"], Tie(int(parts["number"]), "/" if parts["operator"] == "/" else "*")


def parse_tie(expression: str, *, of: str, follower: str) -> Tie:
    """Read a tie to one axis. Raises ValueError that shows the forms."""
    read = read_tie(expression)
    if read is None or read[0] != of:
        forms = f"'NUMBER / {of}', 'NUMBER * {of}' or '{of} / NUMBER'"
        raise ValueError(f"tie of {follower!r} must read {forms}, not {expression!r}")
    return read[1]
