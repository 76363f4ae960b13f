"""Parts are read each once, in an order of their own, and know which board they ran on."""

from __future__ import annotations

import json
import shutil

import pytest

from harness.fleet import parts
from harness.results.documents import JournalError
from tests.support.parts import change, make_parts


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_parts(tmp_path_factory.mktemp("parts"), count=2)


def test_parts_are_read_each_once_whatever_their_order(made, tmp_path):
    copy = shutil.copytree(made[0], tmp_path / "copy")
    found, empty = parts.read_parts([*made, copy, made[0]])
    assert [part.label for part in found] == ["copy", "part-2"]
    assert empty == []
    again, _ = parts.read_parts([copy, *reversed(made)])
    assert [part.digest for part in again] == [part.digest for part in found]


def test_parts_of_one_name_are_told_apart_by_their_folder(made, tmp_path):
    other = shutil.copytree(made[1], tmp_path / "elsewhere" / "part-1")
    found, _ = parts.read_parts([made[0], other])
    assert sorted(part.label for part in found) == ["elsewhere/part-1", f"{made[0].parent.name}/part-1"]


def test_a_part_knows_its_board_its_plan_and_what_it_measured_of_the_bridge(made, tmp_path):
    place = shutil.copytree(made[1], tmp_path / "part")
    (part,), _ = parts.read_parts([place])
    assert (part.name, part.hostname, part.board) == ("2/2", "host-2", "host-2 cores 0-1")
    assert part.reading().seconds > 0
    assert part.canary_floor > 0
    assert part.unfinished() == []
    volatile = json.loads((place / "environment.json").read_text())["volatile"]
    change(place / "environment.json", volatile={**volatile, "gpu_uuid": "GPU-aaaa"})
    change(place / "plan.json", part=None)
    (part,), _ = parts.read_parts([place])
    assert (part.name, part.board, part.reading()) == ("", "GPU-aaaa", None)
    assert list(part.whole) == [planned.case.id for planned in part.plan.cases]


def test_a_file_that_memory_can_not_hold_is_refused_before_it_is_read_whole(made, tmp_path):
    place = shutil.copytree(made[0], tmp_path / "part")
    with (place / "journal.jsonl").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(JournalError, match="bytes, and at most"):
        parts.read_parts([place])


def test_a_link_to_itself_is_refused_as_one(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(JournalError, match=r"loop/plan\.json can't be read: Too many levels of symbolic links"):
        parts.read_parts([tmp_path / "loop"])


def test_parts_that_are_alike_differ_in_nothing(made):
    found, _ = parts.read_parts(made)
    assert parts.differences(found) == []
