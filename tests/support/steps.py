"""The state of a run whose cases were planned, prepared or timed, and answers that a worker gives to its steps."""

from __future__ import annotations

from harness.policy import DEFAULT, TimingPolicy
from harness.protocol.messages import Failed, Prepared, Refused, Visited
from harness.records import Agreement, PlannedCase, Prediction, Round
from harness.runner.selection import TimeLimits
from tests.harness.results.test_closing import prepared
from tests.support.runs import ok_case
from tests.support.scripted import state_of

AGREED = Agreement(passed=True, checks=[], rechecked=True)
LOST = Failed(status="crashed", reason="killed by SIGSEGV", worker_gone=True)
DISAGREED = Refused(status="disagreed", reason="out: 3 times its budget", calls_seconds=0.25)
# A run of three rounds, or five where precision is missed.
QUICK = DEFAULT.model_copy(update={"timing": TimingPolicy(rounds_at_least=3, rounds_at_most=5, looks=(3, 5))})


def planned(implementation="batched", *, seconds=0.01, **point):
    predicted = Prediction(operations=10, extra_bytes=64, resident_bytes=0, seconds=seconds)
    return PlannedCase(case=ok_case(implementation, **point), predicted=predicted)


FIRST, SECOND = planned("batched"), planned("einsum")
SUSTAINED = TimeLimits(sustain=True)


def visited(request, *, seconds=0.01, scatter=0.0):
    samples = [seconds * (1 + scatter * (-1) ** (request.index + block)) for block in range(request.blocks)]
    return Visited(
        round=Round(
            index=request.index,
            process=request.process,
            started=0.0,
            calls_per_sample=request.calls,
            samples=samples,
        ),
        calls_seconds=sum(samples),
    )


def ready(*cases, answers=None, policy=QUICK, **changes):
    """Return the state of a run whose cases are prepared."""
    state = state_of(*cases, answers=answers, policy=policy, **changes)
    state.prepared = {case.case.id: prepared() for case in cases}
    return state


def timed(*cases, answers, limits=SUSTAINED, **changes):
    state = ready(*cases, answers=answers, limits=limits, **changes)
    state.timed = {
        case.case.id: [Round(index=i, started=0.0, calls_per_sample=1, samples=[0.1, 0.11]) for i in range(3)]
        for case in cases
    }
    return state


def answered(_request):
    return Prepared(prepared=prepared(), calls_seconds=0.5)
