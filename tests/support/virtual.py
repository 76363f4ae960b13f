"""A run in virtual time: each answer of the worker moves a clock by what such an answer would take."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

from harness.policy import DEFAULT
from harness.protocol.messages import Prepare, Prepared, Recheck, Rechecked, Sustain, Sustained, Visit, Visited
from harness.records import Agreement, PlannedCase, Prediction, Round, Telemetry
from harness.runner.steps.closing import recheck_and_close
from harness.runner.steps.fitting import fit_budget
from harness.runner.steps.fresh_memory import compare_fresh_memory
from harness.runner.steps.preparation import prepare_cases
from harness.runner.steps.rounds import take_rounds
from harness.runner.steps.sustained import load_for_long
from tests.harness.results.test_closing import prepared
from tests.support.runs import ok_case
from tests.support.scripted import state_of

STEPS = (fit_budget, prepare_cases, take_rounds, load_for_long, compare_fresh_memory, recheck_and_close)


@dataclass
class Machine:
    """What calls take by case id, how much they scatter between visits, and what the machine adds, in seconds.

    `slower` stretches whatever is done from a moment on.
    """

    calls: dict[str, float] = field(default_factory=dict)
    scatter: dict[str, float] = field(default_factory=dict)
    overhead: float = 0.007
    check: float = 0.08
    preparation: float = 0.15
    slower: float = 1.0
    slower_from: float = float("inf")
    now: float = 1000.0
    chance: random.Random = field(default_factory=lambda: random.Random(5))

    def pass_time(self, seconds: float) -> float:
        seconds *= self.slower if self.now >= self.slower_from else 1.0
        self.now += seconds
        return seconds

    def prepare(self, request: Prepare) -> Prepared:
        call = self.calls[request.case.id]
        self.pass_time(self.preparation + 7 * call)
        return Prepared(prepared=prepared().model_copy(update={"call_seconds": call}), calls_seconds=7 * call)

    def visit(self, request: Visit) -> Visited:
        call = self.calls[request.case.id]
        # One call or two make a block without another before it.
        calls = max(request.calls, 2)
        self.pass_time(self.overhead + (call if calls > 2 else 0.0))
        slow_down = self.chance.lognormvariate(0.0, self.scatter.get(request.case.id, 0.1))
        samples = [self.pass_time(calls * call * slow_down) / calls for _ in range(request.blocks)]
        visit = Round(
            index=request.index,
            process=request.process,
            started=self.now,
            calls_per_sample=calls,
            samples=samples,
        )
        return Visited(round=visit, calls_seconds=call + calls * sum(samples))

    def recheck(self, request: Recheck) -> Rechecked:
        self.pass_time(self.check + 2 * self.calls[request.case.id])
        return Rechecked(agreement=Agreement(passed=True, checks=[], rechecked=True), calls_seconds=0.0)

    def sustain(self, _: Sustain) -> Sustained:
        # As many calls as fit its window, however slow they are.
        self.now += DEFAULT.telemetry.lead_in_cpu + DEFAULT.telemetry.window_cpu
        return Sustained(telemetry=Telemetry(), calls_seconds=0.0)


def planned(implementation, seconds, **point):
    predicted = Prediction(operations=10, extra_bytes=64, resident_bytes=0, seconds=seconds)
    return PlannedCase(case=ok_case(implementation, **point), predicted=predicted)


def run(monkeypatch, cases, machine, *, budget=300.0, policy=DEFAULT, **changes):
    """Take planned cases through a run on a machine; calls take what was predicted unless the machine says else."""
    for case in cases:
        machine.calls.setdefault(case.case.id, case.predicted.seconds)
    monkeypatch.setattr(time, "monotonic", lambda: machine.now)
    answers = {
        Prepare: machine.prepare,
        Visit: machine.visit,
        Recheck: machine.recheck,
        Sustain: machine.sustain,
    }
    state = state_of(*cases, answers=answers, policy=policy, clock=lambda: machine.now, budget=budget, **changes)
    for step in STEPS:
        step(state)
    return state
