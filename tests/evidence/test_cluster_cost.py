"""The bars on what a sweep costs can be missed, and walls that a time budget set are said to say nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.evidence.cluster_cost import ALONE, ONE, TWO, Walls, mistakes_of, overhead, speed_up, table

FOUND = {
    ALONE: Walls(100.0, 5.0, 95.0, 8, 0, 80),
    ONE: Walls(114.0, 12.0, 109.0, 8, 0, 80, {"cpu-1": 94.0}),
    TWO: Walls(65.0, 12.0, 60.0, 8, 0, 80, {"cpu-1": 44.0, "cpu-2": 45.0}),
}


def test_starts_are_apart():
    assert overhead(FOUND) == pytest.approx(0.02)
    assert speed_up(FOUND) == pytest.approx(102 / 53)
    assert mistakes_of(FOUND) == []
    said = table(FOUND)
    assert "| two workers | 65.0 s | 12.0 s | 53.0 s | 5.0 s | 8 | 80 |" in said
    assert "two workers: cpu-1 44.0 s, cpu-2 45.0 s; starts of parts, their way here and the merge 3.0 s" in said
    assert said[-1].endswith("2.02 without the page")


@pytest.mark.parametrize(
    ("way", "change", "said"),
    [
        (ONE, {"wall": 118.0}, "the overhead is over 5%"),
        (TWO, {"wall": 70.0}, "the speed-up is below 1.8"),
        (TWO, {"cases": 7}, "the ways have other cases"),
        (TWO, {"visits": 79}, "the ways have other visits"),
        (ONE, {"left_out": 3}, "one worker left 3 cases out: its wall is its time budget"),
    ],
)
def test_each_bar_can_be_missed(way, change, said):
    [mistake] = mistakes_of({**FOUND, way: replace(FOUND[way], **change)})
    assert mistake.startswith(said)
