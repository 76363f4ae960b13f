"""Is board 3 like board 5? The devices of a class, held against each other by what all measured of the bridge."""

from __future__ import annotations

import math
from statistics import NormalDist, mean, median
from typing import TYPE_CHECKING

from harness.results.merged_file import Board

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.policy import ComparisonPolicy
    from harness.results.merged_file import MergedPart, Reading

# One board has no other to be held against.
BOARDS_AT_LEAST = 2


def boards(parts: Sequence[MergedPart], *, policy: ComparisonPolicy) -> list[Board]:
    """Hold each board of each group against the others of it; empty if no group has two that timed one bridge.

    A board's time is the geometric mean over its parts. Its noise comes from the intervals of the readings, widened so
    that among all boards together one in twenty merges calls one off by chance, and is no less than the policy's
    smallest effect.
    """
    held: dict[tuple[str, str], dict[str, list[MergedPart]]] = {}
    for part in parts:
        if part.bridge and part.bridge.seconds:
            held.setdefault((part.group, part.bridge.case), {}).setdefault(part.board, []).append(part)
    compared = {key: of_board for key, of_board in held.items() if len(of_board) >= BOARDS_AT_LEAST}
    count = sum(map(len, compared.values()))
    return [board for (group, _), of_board in compared.items() for board in _of_class(group, of_board, count, policy)]


def _of_class(group: str, of_board: dict[str, list[MergedPart]], count: int, policy: ComparisonPolicy) -> list[Board]:
    logs = {board: mean(_log(part) for part in parts) for board, parts in of_board.items()}
    halves = {
        board: math.sqrt(sum(_half(part.bridge, policy) ** 2 for part in parts if part.bridge)) / len(parts)
        for board, parts in of_board.items()
    }
    normal = NormalDist()
    wider = normal.inv_cdf(1 - (1 - policy.confidence) / (2 * count)) / normal.inv_cdf((1 + policy.confidence) / 2)
    found = []
    for board, parts in of_board.items():
        others = [name for name in of_board if name != board]
        # Of three boards the two that are alike make the median; of two neither is known to be the right one.
        centre = median(logs.values()) if len(of_board) > BOARDS_AT_LEAST else logs[others[0]]
        gap = logs[board] - centre
        # As if one board stood for the class: with few of them their median is no surer than that.
        noise = wider * math.hypot(halves[board], median(halves[name] for name in others))
        noise = max(noise, math.log1p(policy.effect_at_least))
        found.append(
            Board(
                group=group,
                board=board,
                parts=[part.label for part in parts],
                seconds=math.exp(logs[board]),
                ratio=math.exp(gap),
                noise=math.exp(noise),
                is_off=abs(gap) > noise,
            )
        )
    return found


def _log(part: MergedPart) -> float:
    assert part.bridge is not None
    assert part.bridge.seconds is not None
    return math.log(part.bridge.seconds)


def _half(reading: Reading, policy: ComparisonPolicy) -> float:
    """Return half the width of a reading's 95 % interval on the log scale; what processes differ by, without one."""
    if reading.low and reading.high:
        return math.log(reading.high / reading.low) / 2
    return policy.process_deviation * NormalDist().inv_cdf((1 + policy.confidence) / 2)
