"""Whatever a run tells is an event of the protocol, and who listens to few of them hears the others in silence."""

from __future__ import annotations

import ast
import inspect
from typing import get_args

import pytest

from harness.runner import progress
from harness.runner.progress import Progress
from reports.terminal.progress import Lines, Reporter
from tests.support.places import ROOT
from tests.support.runs import failed_record, ok_case
from tests.support.virtual import Machine, planned, run

EVENTS = {
    name: inspect.signature(function)
    for name, function in vars(Progress).items()
    if inspect.isfunction(function) and not name.startswith("_")
}


def told():
    """Yield the events that the runner's source tells: file and line, name, positional and keyword arguments."""
    for file in (ROOT / "harness" / "runner").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = ast.unparse(node.func.value)
            if owner == "progress" or owner.endswith((".progress", "._progress")):
                place = f"{file.name}:{node.lineno}"
                yield place, node.func.attr, len(node.args), [keyword.arg for keyword in node.keywords]


def test_every_event_that_is_told_is_one_of_the_protocol_with_its_arguments():
    seen = set()
    for place, name, positional, keywords in told():
        assert name in EVENTS, place
        EVENTS[name].bind(None, *[None] * positional, **dict.fromkeys(keywords))
        seen.add(name)
    assert seen == set(EVENTS), "an event that nobody tells is none"


def test_the_events_of_a_run_fit_the_protocol_and_their_parts_are_named_there(monkeypatch):
    cases = [planned(name, 1e-3, n=n) for n in (64, 4096) for name in ("batched", "einsum")]
    state = run(monkeypatch, cases, Machine(), budget=2.0)
    words = {
        "phase": get_args(progress.Phase),
        "part": get_args(progress.Part),
        "extra": get_args(progress.Extra),
    }
    assert "left_out" in state.progress.names()
    for name, arguments, more in state.progress.events:
        given = EVENTS[name].bind(None, *arguments, **more).arguments
        for parameter, allowed in words.items():
            assert given.get(parameter, allowed[0]) in allowed


def test_the_phases_of_a_run_cost_what_their_cases_end_with(monkeypatch):
    cases = [planned(name, 1e-3, n=n) for n in (64, 128) for name in ("batched", "einsum")]
    state = run(monkeypatch, cases, Machine(), budget=300.0)
    left = None
    for name, _, more in state.progress.events:
        if name in {"phase_begun", "round_begun"}:
            assert left is None or left == pytest.approx(0.0, abs=1e-9)
            left = more["cost"]
        elif "cost" in more:
            left -= more["cost"]
    assert left == pytest.approx(0.0, abs=1e-9)


def test_a_listener_takes_every_event_of_the_protocol_as_it_is_told():
    for name, signature in EVENTS.items():
        heard = inspect.signature(getattr(Reporter, name))
        assert list(heard.parameters) == list(signature.parameters), name
        assert [one.kind for one in heard.parameters.values()] == [one.kind for one in signature.parameters.values()]


def test_who_listens_to_one_event_hears_the_others_in_silence():
    class Counting(Progress):
        count = 0

        def done(self, case, *, cost):
            self.count += cost if case else 0.0

    listener: Progress = Counting()
    listener.done(ok_case(), cost=2.0)
    assert listener.judging() is None
    assert listener.failed(failed_record("loop", "crashed", "planted"), cost=1.0) is None
    assert listener.count == 2.0
    assert Reporter(Lines()).judging() is None
