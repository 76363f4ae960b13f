"""The bars on what a sweep costs can be missed, and walls that a time budget set are said to say nothing."""

from __future__ import annotations

import pytest

from tests.evidence.cluster_cost import ALONE, ONE, TWO, Walls, mistakes_of, overhead, speed_up, table

FOUND = {ALONE: Walls(100.0, 5.0, 8, 0), ONE: Walls(114.0, 12.0, 8, 0), TWO: Walls(65.0, 12.0, 8, 0)}


def test_starts_are_apart():
    assert overhead(FOUND) == pytest.approx(0.02)
    assert speed_up(FOUND) == pytest.approx(102 / 53)
    assert mistakes_of(FOUND) == []
    assert "| two workers | 65.0 s | 12.0 s | 53.0 s | 8 |" in table(FOUND)


@pytest.mark.parametrize(
    ("way", "walls", "said"),
    [
        (ONE, Walls(118.0, 12.0, 8, 0), "the overhead is over 5%"),
        (TWO, Walls(70.0, 12.0, 8, 0), "the speed-up is below 1.8"),
        (TWO, Walls(65.0, 12.0, 7, 0), "the ways have other cases"),
        (ONE, Walls(114.0, 12.0, 8, 3), "one worker left 3 cases out: its wall is its time budget"),
    ],
)
def test_each_bar_can_be_missed(way, walls, said):
    [mistake] = mistakes_of({**FOUND, way: walls})
    assert mistake.startswith(said)
