"""A run under way whose supervisor gives scripted answers, and a listener that keeps what it hears."""

from __future__ import annotations

import random

from harness.policy import DEFAULT
from harness.results.plan_file import Plan
from harness.runner.budget import TimeAccount
from harness.runner.selection import TimeLimits
from harness.runner.state import RunState
from harness.runner.supervisor import Stages


class Listener:
    """Keep the events of a run: (name, arguments, keyword arguments)."""

    def __init__(self):
        self.events = []

    def __getattr__(self, name):
        return lambda *arguments, **more: self.events.append((name, arguments, more))

    def names(self):
        return [name for name, _, _ in self.events]


class ScriptedSupervisor:
    """Answer each request by what its type is mapped to: an answer, or a function of the request."""

    started_workers, first_ready = 1, None

    def __init__(self, answers):
        self.answers, self.asked, self.drops = answers, [], 0
        # How many workers had been dropped before each launch.
        self.launches = []
        self.stages = Stages()

    def ask(self, request, *, seconds=120.0):  # noqa: ARG002
        self.asked.append(request)
        answer = self.answers[type(request)]
        return answer(request) if callable(answer) else answer

    require = ask

    def launch(self):
        self.launches.append(self.drops)

    def drop(self):
        self.drops += 1


class Kept:
    """A journal in memory."""

    def __init__(self):
        self.records, self.rounds, self.prepared, self.facts = [], [], [], []

    def append_record(self, record):
        self.records.append(record)

    def append_round(self, case, visit):
        self.rounds.append((case, visit))

    def append_prepared(self, case, prepared):
        self.prepared.append((case, prepared))

    def append_facts(self, about, facts):
        self.facts.append((about, facts))


def plan_of(*planned, policy=DEFAULT, **changes):
    settings = {"device": "cpu", "seed": 7, "baseline": "batched", "scenarios": [], "threads": 1}
    return Plan(created="", command=[], policy=policy, cases=list(planned), **{**settings, **changes})


def state_of(*planned, answers=None, directory=None, limits=None, policy=DEFAULT, clock=None, budget=60.0, **changes):
    """Return the state of a run of planned cases that has just begun."""
    return RunState(
        plan=plan_of(*planned, policy=policy, **changes),
        directory=directory,
        supervisor=ScriptedSupervisor(answers or {}),
        journal=Kept(),
        progress=Listener(),
        limits=limits or TimeLimits(),
        time=TimeAccount(60.0) if clock is None else TimeAccount(budget, started=clock()),
        random=random.Random(0),
        started="2026-03-01T12:00:00+00:00",
    )
