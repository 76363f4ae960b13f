"""A merged run shows its parts and whether its boards are alike; any other shows nothing of the kind."""

from __future__ import annotations

import pytest

from harness.fleet.merge import merge, write
from harness.results.run import read_run
from reports.chapters.parts import parts_chapter
from tests.support.parts import make_parts


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("merged")
    write(merge(make_parts(folder, count=3, slow={2: 1.5})), folder / "all")
    return read_run(folder / "all")


def test_each_part_has_a_row_with_its_board_and_what_it_was_closed_by(run):
    parts, boards = parts_chapter([run]).sections[0].tables
    assert [row[:3] for row in parts.rows] == [
        (f"part-{number}", f"host-{number} cores 0-1", f"host-{number}") for number in (1, 2, 3)
    ]
    assert sum(int(row[3]) for row in parts.rows) == len(run.records)
    assert all(row[6].endswith("µs") and row[8] != "–" for row in parts.rows)
    assert boards.rows[0][0] == "host-2 cores 0-1"
    assert [row[5] for row in boards.rows] == ["off", "", ""]


def test_a_run_that_was_not_merged_has_no_such_chapter(run):
    from dataclasses import replace

    assert parts_chapter([replace(run, merged=None)]) is None
