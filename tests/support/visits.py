"""Rounds whose first calls take as long as a test says."""

from __future__ import annotations

from harness.records import Round


def visits(*, new, again, later, calls=20, blocks=3, count=6):
    """Return rounds that write new values every other time, first calls taking so many seconds."""
    return [
        Round(
            index=index,
            started=0.0,
            calls_per_sample=calls,
            samples=[later] * blocks,
            first_seconds=[(again if index % 2 else new) * (1 + 0.1 * block) for block in range(blocks)],
            later_seconds=[later] * blocks if calls > 1 else [],
            new_values=index % 2 == 0,
        )
        for index in range(count)
    ]
