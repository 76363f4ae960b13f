"""Who watches sees a table of devices; a log gets a JSON object a line."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from rich.console import Console

from harness.cluster.orders import Stage
from harness.cluster.seen import State
from reports.terminal.devices import JsonLines, shown, table
from tests.support.scripted_engine import announced, orders

(ORDER,) = orders("1")
STATE = State(
    workers={"x": announced("a"), "y": announced("b")},
    at={"x": (ORDER, Stage(phase="round 3", share=0.5), 5.0)},
    done=1,
    of=4,
    seconds_left=90.0,
)


def test_each_device_has_a_row_and_the_whole_an_end():
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(table(STATE))
    text = console.export_text()
    assert "1 of 4 chunks, ETA 1:30" in text
    assert "cpu-1" in text
    assert "round 3" in text
    assert "idle" in text


def test_states_are_told_where_something_ended_or_time_has_passed():
    stream, now = io.StringIO(), [0.0]
    lines = JsonLines(stream, clock=lambda: now[0])
    for moment in (0.0, 1.0, 11.0):
        now[0] = moment
        lines.state(STATE)
    lines.lost(ORDER, "a cpu", "gone")
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["event"] for one in told] == ["state", "state", "lost"]
    assert told[0]["devices"] == [
        {"worker": "a cpu cores 0", "order": "cpu-1", "phase": "round 3", "share": 0.5, "seconds": 5.0}
    ]


def test_a_log_is_silent_while_other_runs_hold_every_device_and_a_screen_says_who_does():
    stream, now = io.StringIO(), [0.0]
    lines = JsonLines(stream, clock=lambda: now[0])
    waiting = replace(STATE, at={}, seconds_left=None, held=dict.fromkeys("xy", "process 7 holds it"))
    for moment in range(0, 100, 5):
        now[0] = float(moment)
        lines.state(waiting)
    assert stream.getvalue().count("\n") == 1
    now[0] = 100.0
    lines.state(replace(waiting, held={"x": "process 7 holds it"}))
    assert stream.getvalue().count("\n") == 2
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(table(waiting))
    assert console.export_text().count("process 7 holds it") == 2


def test_who_asks_for_quiet_hears_of_losses_alone():
    stream = io.StringIO()
    lines = JsonLines(stream, is_quiet=True)
    lines.state(STATE)
    lines.joined(announced("a"))
    lines.refused("b cpu", "its code is c1")
    assert json.loads(stream.getvalue())["event"] == "refused"
    assert isinstance(shown(is_quiet=True, is_json=False), JsonLines)
