"""Each tile is an answer, and links to the figure of its run that shows it."""

from __future__ import annotations

import pytest

from harness.results.run import read_run
from reports.answer.tiles import Tile, place_of, tiles
from tests.support import runs
from tests.support.drawn import run_of, swept, table_of


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "example"
    return read_run(runs.make_run(path, sweeps=("sequence-length",), failures=False))


def test_tiles_answer_the_law_the_speed_the_memory_and_agreement(run):
    found = tiles(run, table_of(run))
    assert [tile.kind for tile in found] == ["operations", "time", "speed-up", "memory", "agreement"]
    assert (found[0].value, found[0].remark) == ("n² d", "counted, for 7 of 7")
    assert (found[1].value, found[1].remark) == ("n¹·⁹⁸", "agrees for 6 of 7")


def test_one_implementation_has_its_time_and_no_rival():
    alone = run_of(swept("batched"))
    assert [tile.kind for tile in tiles(alone, table_of(alone))] == ["time", "memory", "agreement"]


def test_a_difference_that_is_not_significant_has_no_speed_up():
    both = run_of([*swept("batched", sizes=(64, 128)), *swept("loop", sizes=(64, 128))])
    table = table_of(both)
    assert "speed-up" in [tile.kind for tile in tiles(both, table)]
    assert "speed-up" not in [tile.kind for tile in tiles(both, table.assign(low_s=1e-9))]


def test_a_run_of_failures_has_no_tile():
    failed = run_of([runs.failed_record("loop", "oom", "too much", n=64, d=64, heads=2, batch=1)])
    assert tiles(failed, table_of(failed)) == []


def test_a_tile_links_to_the_figure_of_its_own_run_and_dtype(run):
    ids = [
        "time-other-sequence-length-float32",
        "time-example-grid-float16-x",
        "time-example-sequence-length-float32-x",
    ]
    assert place_of(Tile("1", "a", kind="time"), ids, run) == ids[2]
    assert place_of(Tile("1", "a", kind="memory"), ids, run) == ""
    assert place_of(Tile("1", "a"), ids, run) == ""
