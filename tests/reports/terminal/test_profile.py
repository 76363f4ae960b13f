"""A profile in a terminal: its parts by share, what it holds, and a sentence on what bounds it."""

from __future__ import annotations

import pytest
from rich.console import Console

from harness.profiled import Counter, ProfileDocument
from harness.runner.profiling.bounds import bound
from reports.terminal import profile as terminal
from tests.support.profiles import CEILINGS, case_profile, part


def document(ceilings=CEILINGS, **changes):
    found = case_profile(**changes)
    return ProfileDocument(profile=found, bound=bound(found, ceilings), ceilings=ceilings, commands=["perf stat -- x"])


def printed(table):
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table)
    return [line.split() for line in captured.get().splitlines()]


def test_parts_are_listed_by_share_and_small_ones_are_one_row():
    rows = printed(terminal.table(case_profile()))
    assert rows[1] == ["70.0%", "700", "µs", "2", "aten::bmm"]
    assert rows[3] == ["9.8%", "98.0", "µs", "outside", "of", "operators"]
    assert rows[-1] == ["0.2%", "2.00", "µs", "1", "more"]


def test_the_profilers_own_time_is_said_where_it_is_much():
    assert len(terminal.heading(case_profile())) == 3
    assert "2.0 times as long" in terminal.heading(case_profile(profiled_seconds=2e-3))[-1]
    assert "21 calls were made" in terminal.heading(case_profile(parts=[]))[-1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Arithmetic bounds it: 80.0 MFLOP at 100 GFLOP/s take 800 µs, 80% of the call; bandwidth allows 200 µs"),
        ({"ideal_bytes": 9_000_000, "operations": 1000}, "Bandwidth bounds it: 9.54 MiB, moved at least once"),
        ({"parts": [part("outside of operators", 1e-3, kind="outside")]}, "Launches bound it: 100% of the call is"),
        ({"call_seconds": 1e-2, "profiled_seconds": 1e-2}, "No ceiling is near: arithmetic takes 800 µs, 8%"),
    ],
)  # fmt: skip
def test_a_sentence_says_what_bounds_it(changes, said):
    assert terminal.sentence(document(**changes)).startswith(said)


def test_a_ceiling_that_is_not_known_is_said():
    assert "arithmetic takes what was not measured here" in terminal.sentence(document(ceilings=[]))


def test_memory_and_lines_to_paste_stand_below():
    lines = terminal.text(document())
    assert lines[0] == "Its allocations hold at most 488 KiB at once, and come to 488 KiB in all."
    assert lines[-1] == "  perf stat -- x"
    assert terminal.memory(case_profile(allocated_bytes=0)) == "It allocates nothing."


def test_counters_are_a_line_each_or_one_that_says_why_there_are_none():
    known = document()
    assert terminal.counters(known) == []
    some = known.model_copy(update={"counters": [Counter(name="dram__bytes_read.sum", value=4096.0, unit="byte")]})
    assert terminal.counters(some)[1:] == ["  dram__bytes_read.sum  4,096 byte"]
    assert terminal.counters(known.model_copy(update={"counters_reason": "no ncu"})) == ["no ncu"]
