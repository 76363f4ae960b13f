"""A graph's time counts only where its outputs were written anew, right and by every input set, before and after."""

from __future__ import annotations

import gc
import math
from dataclasses import replace

import pytest
import torch

from harness.instruments import cuda_graphs, memory, timing
from harness.policy import DEFAULT, GatePolicy, TimingPolicy
from harness.protocol.messages import Replay, Start, Visit
from harness.runner import replays
from harness.worker import measuring, workbench
from impls import discovery, registry
from impls.subject import Subject
from tests.support.runs import ok_case

CPU = torch.device("cpu")
POLICY = TimingPolicy(block_seconds_cuda=2e-4)


class FakeGraph:
    """Keeps calls with the outputs they were recorded with, and computes into those at each replay."""

    def __init__(self, recorded):
        self.recorded, self.replays = recorded, 0

    def replay(self):
        self.replays += 1
        for call, outputs in self.recorded:
            for kept, fresh in zip(outputs, call(), strict=True):
                kept.copy_(fresh)


class FakeRecorder:
    """Stands in for CUDA's stream capture: recording computes nothing, replaying does."""

    graph_class = FakeGraph

    def eager(self, calls):
        return [call() for call in calls]

    def record(self, calls, *, keep):
        recorded, kept = [], []
        for position, call in enumerate(calls):
            result = call()
            outputs = result if isinstance(result, tuple) else (result,)
            recorded.append((lambda call=call: as_tuple(call()), outputs))
            if position in keep:
                kept.append(result)
        self.graph = self.graph_class(recorded)
        self.calls = len(recorded)
        return self.graph, kept


def as_tuple(result):
    return result if isinstance(result, tuple) else (result,)


def recorder_of(graph_class):
    recorder = FakeRecorder()
    recorder.graph_class = graph_class
    return recorder


def visit(recorder, name="einsum", problem="attention", point=None, **policy):
    discovery.discover()
    of = registry.problem(problem)
    entry = registry.get(problem, name)
    subject = Subject(of, entry, of.parse(point or {"n": 24, "d": 8}), torch.float32, CPU)
    return cuda_graphs.visit(
        subject,
        recorder=recorder,
        timed=timing.HostClock().block,
        seed=7,
        call_seconds=2e-5,
        blocks=3,
        policy=POLICY.model_copy(update=policy),
        gate=GatePolicy(),
    )


def test_a_replay_that_computes_what_the_calls_did_has_a_time():
    recorder = FakeRecorder()
    found = visit(recorder)
    assert found.reason == ""
    assert len(found.samples) == 3
    assert all(sample > 0 for sample in found.samples)
    assert found.inputs == 4
    # 10 calls of 20 us fill the block.
    assert found.calls == recorder.calls == 10


def test_each_input_set_has_values_of_its_own():
    seen = []

    def keep(call):
        seen.append(call())
        return seen[-1]

    class Watching(FakeRecorder):
        def eager(self, calls):
            return [keep(call) for call in calls]

    visit(Watching())
    assert not any(torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])


def test_seconds_are_those_of_a_call_and_not_of_a_replay():
    class Clock:
        def block(self, call, calls):
            for _ in range(calls):
                call()
            return timing.Block(seconds=8e-4, host=0.0, calls=calls)

    found = cuda_graphs.replays(
        [lambda: torch.ones(3)] * 2,
        recorder=FakeRecorder(),
        timed=Clock().block,
        call_seconds=2.5e-5,
        blocks=2,
        policy=POLICY,
    )
    assert found.calls == 8
    assert found.samples == [1e-4, 1e-4]


def test_a_graph_has_no_more_calls_and_kernels_than_the_policy_allows_and_two_calls_at_least():
    assert cuda_graphs._graph_calls(1e-9, launches=1, policy=POLICY) == POLICY.graph_calls_at_most
    assert cuda_graphs._graph_calls(10.0, launches=None, policy=POLICY) == 2
    assert cuda_graphs._graph_calls(1e-9, launches=1000, policy=POLICY) == 5


class Stale(FakeGraph):
    """Writes nothing."""

    def replay(self):
        pass


class FirstSetOnly(FakeGraph):
    """Gives every call the outputs of the first input set."""

    def replay(self):
        fresh = self.recorded[0][0]()
        for _, outputs in self.recorded:
            for kept, value in zip(outputs, fresh, strict=True):
                kept.copy_(value)


class LastRowUnwritten(FakeGraph):
    """Leaves a part of the output alone, as a wrong grid size would."""

    def replay(self):
        for call, outputs in self.recorded:
            for kept, fresh in zip(outputs, call(), strict=True):
                kept[..., :-1, :].copy_(fresh[..., :-1, :])


class SlightlyWrong(FakeGraph):
    """Differs by one part in a thousand."""

    def replay(self):
        super().replay()
        for _, outputs in self.recorded:
            for kept in outputs:
                kept.mul_(1.001)


class WrongLater(FakeGraph):
    """Right at its first replay only."""

    def replay(self):
        super().replay()
        if self.replays > 1:
            self.recorded[-1][1][0].zero_()


class UnwrittenLater(FakeGraph):
    """Writes at its first replay only."""

    def replay(self):
        if not self.replays:
            super().replay()
        self.replays += 1


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (Stale, "before timing, input set 1 of 4: 192 elements were not written"),
        (FirstSetOnly, "before timing, input set 2 of 4: the graph's output differs"),
        (LastRowUnwritten, "before timing, input set 1 of 4: 8 elements were not written"),
        (SlightlyWrong, "before timing, input set 1 of 4: the graph's output differs"),
        (WrongLater, "after timing, input set 4 of 4: the graph's output differs"),
        (UnwrittenLater, "after timing, input set 1 of 4: 192 elements were not written"),
    ],
)
def test_a_graph_that_does_not_do_the_work_has_no_time(graph, reason):
    found = visit(recorder_of(graph))
    assert found.samples == []
    assert found.reason.startswith(reason)


def test_a_capture_that_raises_is_a_reason():
    class Refusing(FakeRecorder):
        def record(self, *_calls, **_options):
            raise RuntimeError("operation not permitted when stream is capturing\nand more")

    class RefusingTwice(Refusing):
        def record(self, *_calls, **_options):
            try:
                super().record()
            finally:
                raise ValueError("the capture was invalidated")

    for recorder in (Refusing(), RefusingTwice()):
        found = visit(recorder)
        assert found.samples == []
        assert found.capture_failed
        assert found.reason == "can't be captured: RuntimeError: operation not permitted when stream is capturing"


def test_results_cached_by_input_are_no_work():
    known = [torch.ones(3), torch.ones(3)]
    found = cuda_graphs.replays(
        [lambda: known[0], lambda: known[1]],
        recorder=FakeRecorder(),
        timed=timing.HostClock().block,
        call_seconds=1e-5,
        blocks=1,
        policy=POLICY,
    )
    assert found.samples == []
    assert "results are cached" in found.reason


def test_an_implementation_that_need_not_repeat_itself_is_held_against_the_oracle():
    class LastDigit(FakeGraph):
        def replay(self):
            super().replay()
            for _, outputs in self.recorded:
                for kept in outputs:
                    kept.copy_(torch.nextafter(kept, torch.full_like(kept, math.inf)))

    assert not discovery.discover().entries["attention", "sdpa-auto"].deterministic
    assert visit(recorder_of(LastDigit), "sdpa-auto").reason == ""
    assert "differs" in visit(recorder_of(LastDigit)).reason
    for graph, reason in ((SlightlyWrong, "out "), (FirstSetOnly, "input set 2"), (Stale, "not written")):
        found = visit(recorder_of(graph), "sdpa-auto")
        assert found.samples == []
        assert reason in found.reason


def test_several_outputs_are_all_checked():
    class FirstOutputOnly(FakeGraph):
        def replay(self):
            for call, outputs in self.recorded:
                outputs[0].copy_(call()[0])

    assert visit(FakeRecorder(), "nadaraya-watson", "pooling", {"n": 20}).reason == ""
    found = visit(recorder_of(FirstOutputOnly), "nadaraya-watson", "pooling", {"n": 20})
    assert "not written" in found.reason


def test_dropout_is_not_replayed():
    found = visit(FakeRecorder(), "d2l", "multihead", {"n": 8, "width": 16, "heads": 2, "dropout": 0.5})
    assert found.reason.startswith("dropout draws anew")


def test_the_worker_answers_with_what_a_round_holds(monkeypatch):
    monkeypatch.setattr(memory, "cap_process", lambda _limit: True)
    monkeypatch.setattr(cuda_graphs, "CudaRecorder", lambda _device: FakeRecorder())
    steps = []
    bench = workbench.set_up(Start(policy=DEFAULT, device="cpu"), announce=steps.append)
    gc.unfreeze()
    case = ok_case("einsum", n=16, d=8)
    visited = measuring.visit(bench, Visit(case=case, seed=3, calls=100, blocks=3, index=0, process=0)).round
    bench.calls.seconds = 0.0
    answer = measuring.replay(bench, Replay(case=case, seed=3, blocks=3, call_seconds=1e-5))
    found = replays.with_replays(visited, answer.graph)
    assert steps[-1] == "CUDA graph"
    assert found.graph_reason == ""
    assert len(found.graph_samples) == 3
    assert found.samples == visited.samples
    assert 0 < sum(found.graph_samples) * found.graph_calls < answer.calls_seconds


def test_what_defines_right_is_worked_out_once_for_the_implementations_of_a_point(monkeypatch):
    monkeypatch.setattr(memory, "cap_process", lambda _limit: True)
    monkeypatch.setattr(cuda_graphs, "CudaRecorder", lambda _device: FakeRecorder())
    bench = workbench.set_up(Start(policy=DEFAULT, device="cpu"), announce=lambda _step: None)
    gc.unfreeze()
    of, asked = registry.problem("attention"), []
    witness = of.witness
    monkeypatch.setattr(of, "witness", lambda *arguments: asked.append(1) or witness(*arguments))
    entry = registry.get("attention", "sdpa-auto")
    monkeypatch.setitem(bench.registry.entries, ("attention", "another"), replace(entry, name="another"))
    for name, seed in (("sdpa-auto", 3), ("another", 3), ("another", 1012)):
        case = ok_case(name, n=16, d=8)
        found = measuring.replay(bench, Replay(case=case, seed=seed, blocks=1, call_seconds=1e-5)).graph
        assert found.reason == ""
    assert len(asked) == 2 * DEFAULT.timing.graph_inputs


@pytest.mark.gpu
def test_a_short_kernel_is_replayed_on_a_gpu():
    discovery.discover()
    of, device = registry.problem("attention"), torch.device("cuda")
    clock = timing.clock_for(device, cold=False)
    for name in ("batched", "sdpa-auto"):
        subject = Subject(
            of, registry.get("attention", name), of.parse({"n": 64, "d": 64, "heads": 2}), torch.bfloat16, device
        )
        found = cuda_graphs.visit(
            subject,
            recorder=cuda_graphs.CudaRecorder(device),
            timed=clock.block,
            seed=1,
            call_seconds=1e-5,
            blocks=3,
            policy=TimingPolicy(),
            gate=GatePolicy(),
        )
        assert found.reason == ""
        assert all(0 < sample < 1e-2 for sample in found.samples)


@pytest.mark.gpu
def test_a_call_that_waits_for_the_gpu_can_not_be_captured_and_breaks_nothing():
    device = torch.device("cuda")
    values = [torch.randn(64, device=device) for _ in range(2)]
    before = torch.cuda.current_stream()
    found = cuda_graphs.replays(
        [lambda value=value: value * value.sum().item() for value in values],
        recorder=cuda_graphs.CudaRecorder(device),
        timed=timing.clock_for(device, cold=False).block,
        call_seconds=1e-5,
        blocks=1,
        policy=TimingPolicy(),
    )
    assert found.reason.startswith("can't be captured")
    assert torch.cuda.current_stream() == before
    assert float(torch.ones(4, device=device).sum()) == 4.0
