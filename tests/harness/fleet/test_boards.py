"""Boards of a class are held against each other by the bridge: a slow one is flagged, noise is not."""

from __future__ import annotations

import random

import pytest

from harness.fleet.boards import boards
from harness.policy import DEFAULT
from harness.results.merged_file import MergedPart, Reading

POLICY = DEFAULT.comparison


def part(board, seconds, *, half=0.03, group="", case="b", label=""):
    reading = Reading(case=case, status="ok", seconds=seconds, low=seconds * (1 - half), high=seconds * (1 + half))
    return MergedPart(
        label=label or f"part of {board}", group=group, environment_id="e", device="cuda", board=board, cases=1,
        bridge=reading,
    )  # fmt: skip


def test_a_board_beyond_the_noise_is_off_and_its_factor_is_told():
    found = boards([part("a", 1.0), part("b", 1.01), part("c", 1.2), part("d", 0.995)], policy=POLICY)
    assert [board.board for board in found if board.is_off] == ["c"]
    assert found[2].ratio == pytest.approx(1.2 / 1.005, rel=1e-3)
    assert 1.03 < found[2].noise < 1.1


def test_boards_are_compared_within_their_class_and_by_one_bridge():
    found = boards([part("a", 1.0, group="h"), part("b", 9.0, group="g"), part("c", 2.0, group="h", case="other")],
                   policy=POLICY)  # fmt: skip
    assert found == []
    assert boards([part("a", 1.0), part("a", 1.3)], policy=POLICY) == []


def test_parts_of_one_board_are_averaged():
    found = boards([part("a", 1.0, label="1"), part("a", 4.0, label="2"), part("b", 2.0)], policy=POLICY)
    assert found[0].seconds == pytest.approx(2.0)
    assert found[0].parts == ["1", "2"]
    assert found[0].ratio == pytest.approx(1.0)


@pytest.mark.parametrize("count", [2, 8, 64])
def test_boards_that_are_alike_are_rarely_called_off(count):
    """Draw readings whose intervals hold the truth in 95 of 100: of 200 merges some 10 may call a board off."""
    draw = random.Random(11)
    merges = [
        [part(f"{board}", 2.718281828 ** draw.gauss(0.0, 0.06 / 1.96), half=0.06) for board in range(count)]
        for _ in range(200)
    ]
    called = sum(any(board.is_off for board in boards(parts, policy=POLICY)) for parts in merges)
    assert called <= 22
