"""Each moment of a request belongs to one stage."""

from __future__ import annotations

import itertools

from harness.policy import DEFAULT
from harness.protocol import messages
from harness.protocol.messages import encode
from harness.worker.__main__ import Worker
from harness.worker.stages import Stages
from tests.support.runs import ok_case


def test_seconds_go_to_the_stage_begun_last_and_parts_by_themselves():
    ticks = itertools.count()
    stages = Stages(clock=lambda: float(next(ticks)))
    stages.restart()
    stages.begin("inputs")
    with stages.inside("oracle"), stages.inside("canary"):
        stages.begin("oracle")
    found = stages.take()
    assert found == {"other": 1.0, "inputs": 2.0, "oracle": 2.0}
    assert sum(found.values()) == 5.0


def test_a_restart_forgets_what_was_booked():
    stages = Stages()
    stages.begin("inputs")
    stages.restart()
    assert "inputs" not in stages.take()


def test_a_visit_tells_its_timed_samples_from_what_surrounds_them(monkeypatch):
    monkeypatch.setattr("harness.instruments.memory.cap_process", lambda _limit: True)
    monkeypatch.setattr("gc.freeze", lambda: None)
    worker = Worker(announce=lambda _step: None)
    worker.answer(encode(messages.Start(device="cpu", policy=DEFAULT)))
    assert worker.spent() == {}, "a start is timed by the parent"
    case = ok_case("einsum", n=16, d=8)
    worker.answer(encode(messages.Prepare(case=case, seed=3)))
    assert {"agreement", "oracle", "profile", "warm-up", "counting"} <= set(worker.spent())
    worker.answer(encode(messages.Visit(case=case, seed=3, calls=500, blocks=2, index=0, process=0)))
    spent = worker.spent()
    assert {"inputs", "untimed calls", "timed samples", "canary", "looking at results"} <= set(spent)
    assert spent["timed samples"] > spent["untimed calls"]
    worker.answer(encode(messages.Visit(case=case, seed=3, calls=1, blocks=1, index=0, process=0)))
    assert "untimed calls" not in worker.spent()
