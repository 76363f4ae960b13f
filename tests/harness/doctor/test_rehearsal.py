"""A rehearsal asks a device what is assumed of it; here a simulated one answers, and a missing one is refused."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from harness.doctor import rehearsal
from harness.instruments import timing
from impls import discovery
from tests.support.simulated_cuda import Simulated

US = 1_000


@pytest.mark.parametrize("depth", [1024, 4096])
def test_the_depth_of_the_launch_queue_is_found(depth):
    cuda = Simulated(depth=depth)
    found = rehearsal.queue_depth(cuda, 0, lambda: cuda.launch(US))
    # The sleep takes a place.
    assert found == depth - 1


def test_a_queue_in_which_no_launch_waits_has_no_depth():
    cuda = Simulated(depth=10**6)
    assert rehearsal.queue_depth(cuda, 0, lambda: cuda.launch(US)) is None


def test_launching_is_told_apart_from_the_device():
    cuda = Simulated()
    clock = timing.EventClock(torch.device("cuda:0"), launches=1, driver=cuda)
    found = rehearsal.launch_seconds(lambda: cuda.launch(3 * US, cost=8 * US), clock)
    assert found["device"] == pytest.approx(3e-6, rel=0.05)
    assert found["host"] == pytest.approx(8e-6, rel=0.05)
    assert found["call"] == pytest.approx(8e-6, rel=0.05)
    assert found["queued"] == 1.0


def test_a_part_that_fails_costs_itself_and_has_its_reason(monkeypatch):
    def fails(*_):
        raise RuntimeError("no such counter\nand more")

    monkeypatch.setattr(torch.cuda, "set_device", lambda _device: None)
    for name in ("describe", "launching", "queue_depths", "sensors", "recorded"):
        monkeypatch.setattr(rehearsal, name, fails)
    monkeypatch.setattr(rehearsal, "l2_copy", lambda _device: {"queued": 5e12})
    told = []
    answers = rehearsal.rehearse("cuda:0", announce=told.append)
    assert told[:2] == ["device", "launching"], "launching is timed before the first profile"
    assert told[-1] == "recorded"
    assert answers.l2_copy == {"queued": 5e12}
    assert answers.reasons["sensors"] == "RuntimeError: no such counter"
    assert json.loads(answers.model_dump_json(by_alias=True))["recorded"] == []


def test_calls_of_every_problem_and_of_the_backward_are_recorded_and_what_raises_is_a_reason(monkeypatch):
    small = ("attention", {"n": 16, "d": 8, "heads": 2, "batch": 1})
    points = ((*small, "forward"), (*small, "backward"), ("multihead", {"n": 8, "width": 16, "heads": 2}, "forward"))
    monkeypatch.setattr(rehearsal, "CALLED", points)
    monkeypatch.setattr(rehearsal, "DTYPES", ("float32",))
    # All that is registered but what the compiler makes: it takes seconds for each.
    entries = {
        key: one
        for key, one in discovery.discover().entries.items()
        if one.name.rpartition("/")[2] not in {"compiled", "flex"}
    }
    monkeypatch.setattr(discovery, "discover", lambda: SimpleNamespace(entries=entries))
    rows = rehearsal.recorded(torch.device("cpu"))
    found = {(row.problem, row.implementation, row.direction): row for row in rows}
    assert "aten::bmm" in found["attention", "batched", "forward"].operators
    assert found["attention", "batched", "backward"].operators != found["attention", "batched", "forward"].operators
    assert found["multihead", "d2l", "forward"].fallback == ""
    assert ("attention", "loop", "forward") not in found, "row by row it would fill a profile"
    monkeypatch.setattr(rehearsal, "CALLED", (("multihead", {"n": 8, "width": 7, "heads": 2}, "forward"),))
    assert {row.reason for row in rehearsal.recorded(torch.device("cpu"))} == {
        "ValueError: width 7 must be a multiple of heads 2"
    }
