"""CUDA graphs: short calls replayed without the host, over inputs in turn, their outputs checked before and after."""

from __future__ import annotations

import itertools
import math
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch

from harness import agreement, directions, sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.policy import GatePolicy, TimingPolicy
    from harness.timing import Block
    from impls.contract import Witness
    from impls.subject import Subject

    Call = Callable[[], Any]
    Outputs = tuple[torch.Tensor, ...]
    # Given the number of an input set and the outputs of a call on it, what is wrong with them; empty if nothing.
    Judge = Callable[[int, Outputs], str]

# Libraries choose algorithms and allocate workspaces in their first calls on a stream (PyTorch's notes on CUDA graphs
# warm up three times), which a capture would refuse.
WARM_UPS = 3
# Kept apart from the seeds of visits, which lie further from one another than there are input sets.
SEED_OFFSET = 500


class Graph(Protocol):
    """Calls that were recorded once and write to the same outputs at each replay."""

    def replay(self) -> None: ...  # noqa: D102


class Recorder(Protocol):
    """The few calls of CUDA that a graph needs.

    `eager` makes each call once, warmed up, where `record` will record it, and returns when they are done. `record`
    records calls in order, without running them, and returns the results of those in `keep`; the memory of the others
    may be used again by later calls.
    """

    def eager(self, calls: Sequence[Call]) -> list[Any]: ...  # noqa: D102
    def record(self, calls: Sequence[Call], *, keep: frozenset[int]) -> tuple[Graph, list[Any]]: ...  # noqa: D102


class CudaRecorder:
    """Record on a stream of its own, as capturing on the default stream is refused."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def eager(self, calls: Sequence[Call]) -> list[Any]:
        """Make each call a few times on the capturing stream and return its last results."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            results = [[call() for call in calls] for _ in range(WARM_UPS)][-1]
        current.wait_stream(self._stream)
        torch.cuda.synchronize(self._device)
        return results

    def record(self, calls: Sequence[Call], *, keep: frozenset[int]) -> tuple[Graph, list[Any]]:
        """Capture the calls. Raises what torch or the implementation raises where a call can't be captured."""
        graph = torch.cuda.CUDAGraph()
        kept: list[Any] = []
        # A capture that fails leaves its stream the current one: the outer context puts the caller's back.
        with torch.cuda.stream(torch.cuda.current_stream(self._device)), torch.cuda.graph(graph, stream=self._stream):
            for position, call in enumerate(calls):
                result = call()
                if position in keep:
                    kept.append(result)
        return graph, kept


@dataclass(frozen=True)
class Replays:
    """Seconds per call of each block of replays, the calls in the graph and the input sets they take in turn.

    Without samples there is a reason. After a capture that failed torch may take its allocator and its random numbers
    for still being captured, so the process should measure nothing more.
    """

    samples: list[float] = field(default_factory=list)
    calls: int = 0
    inputs: int = 0
    reason: str = ""
    capture_failed: bool = False


def visit(
    subject: Subject,
    *,
    recorder: Recorder,
    timed: Callable[[Call, int], Block],
    seed: int,
    seconds_a_call: float,
    blocks: int,
    policy: TimingPolicy,
    gate: GatePolicy,
) -> Replays:
    """Draw fresh input sets, record the forward call on them in turn, and time replays of that graph.

    A deterministic implementation must give in the graph what it gave outside, bit by bit; another must pass the gate
    on each set.
    """
    if "dropout" in subject.problem.features(subject.point, direction="forward"):
        return Replays(reason="dropout draws anew at each replay: there is nothing to compare with")
    sets = [subject.inputs(seed=seed + SEED_OFFSET + number) for number in range(policy.graph_inputs)]
    with ExitStack() as stack:
        calls = [stack.enter_context(directions.measured_call(subject, inputs)).call for inputs in sets]
        return replays(
            calls,
            recorder=recorder,
            timed=timed,
            seconds_a_call=seconds_a_call,
            blocks=blocks,
            policy=policy,
            judge=None if subject.implementation.deterministic else _gate(subject, sets, seed=seed, policy=gate),
        )


def replays(
    calls: Sequence[Call],
    *,
    recorder: Recorder,
    timed: Callable[[Call, int], Block],
    seconds_a_call: float,
    blocks: int,
    policy: TimingPolicy,
    judge: Judge | None = None,
) -> Replays:
    """Record calls, one for each input set, in turn until a graph fills a block; check, time, and check again.

    `timed` times so many calls of a function. Outputs are NaN before a replay that is checked, and must then be what
    `judge` accepts, by default what each call gave outside of the graph. An error in capturing is a reason; one of
    the device rises.
    """
    sets = len(calls)
    count = _graph_calls(seconds_a_call, sets=sets, policy=policy)
    expected = [_outputs(result, copy=True) for result in recorder.eager(calls)]
    # The first and the last call on each set: were results cached, they would be the same memory.
    keep = frozenset([*range(sets), *range(count - sets, count)])
    try:
        graph, results = recorder.record(list(itertools.islice(itertools.cycle(calls), count)), keep=keep)
    # Whatever an implementation does that can't be captured costs the figure and not the case.
    except Exception as error:  # noqa: BLE001
        # Ending a capture that failed fails too; what came first says why.
        cause = error.__context__ or error
        first = str(cause).strip().split("\n")[0][:300]
        reason = f"can't be captured: {type(cause).__name__}: {first}"
        return Replays(calls=count, inputs=sets, reason=reason, capture_failed=True)
    kept = [_outputs(result, copy=False) for result in results]
    judge = judge or (lambda number, found: _difference(found, expected[number]))
    wrong = _shared(kept) or _checked(graph, kept, judge=judge, timed=timed, sets=sets)
    if wrong:
        return Replays(calls=count, inputs=sets, reason=f"before timing, {wrong}")
    # Inside the graph a call may be far shorter than outside.
    once = timed(graph.replay, 1).seconds
    again = sampling.calls_per_block(once, target=policy.block_seconds_cuda, at_most=policy.graph_calls_at_most)
    samples = [timed(graph.replay, again).seconds / count for _ in range(blocks)]
    wrong = _checked(graph, kept, judge=judge, timed=timed, sets=sets)
    if wrong:
        return Replays(calls=count, inputs=sets, reason=f"after timing, {wrong}")
    return Replays(samples=samples, calls=count, inputs=sets)


def _graph_calls(seconds_a_call: float, *, sets: int, policy: TimingPolicy) -> int:
    """Return how many calls a graph has: the same number on each set, at least two."""
    wanted = sampling.calls_per_block(
        seconds_a_call, target=policy.block_seconds_cuda, at_most=policy.graph_calls_at_most
    )
    return sets * max(2, wanted // sets)


def _outputs(result: Any, *, copy: bool) -> Outputs:
    """Return the tensors of a call's result."""
    listed = result if isinstance(result, tuple) else (result,)
    return tuple(tensor.clone() if copy else tensor for tensor in listed)


def _shared(kept: Sequence[Outputs]) -> str:
    """Say whether two calls of the graph gave the same memory: then one of them did no work."""
    addresses = [tensor.untyped_storage().data_ptr() for outputs in kept for tensor in outputs]
    return "" if len(set(addresses)) == len(addresses) else "calls of the graph share an output: results are cached"


def _checked(
    graph: Graph, kept: Sequence[Outputs], *, judge: Judge, timed: Callable[[Call, int], Block], sets: int
) -> str:
    """Poison the kept outputs, replay once, and say what is wrong with them."""
    for outputs in kept:
        for tensor in outputs:
            tensor.fill_(math.nan)
    timed(graph.replay, 1)
    for position, outputs in enumerate(kept):
        number = position % sets
        unwritten = sum(int(tensor.isnan().sum()) for tensor in outputs)
        wrong = f"{unwritten} elements were not written" if unwritten else judge(number, outputs)
        if wrong:
            return f"input set {number + 1} of {sets}: {wrong}"
    return ""


def _difference(found: Outputs, expected: Outputs) -> str:
    """Say how outputs differ from those of the call outside of the graph, empty where they don't."""
    if len(found) == len(expected) and all(torch.equal(a, b) for a, b in zip(found, expected, strict=True)):
        return ""
    largest = max(float((a.double() - b.double()).abs().max()) for a, b in zip(found, expected, strict=True))
    return f"the graph's output differs from the call's by up to {largest:.3g}"


def _gate(subject: Subject, sets: Sequence[Any], *, seed: int, policy: GatePolicy) -> Judge:
    """Return the gate as a judge; what defines right is worked out once for each set."""
    problem = subject.problem
    rows = problem.sample_rows(subject.point, count=policy.rows, seed=seed)
    known: dict[int, tuple[Witness, ...]] = {}

    def judge(number: int, outputs: Outputs) -> str:
        inputs = sets[number]
        if number not in known:
            known[number] = problem.witness(inputs, rows)
        answer = agreement.Answer(inputs, tuple(inputs.tensors), outputs, None, ())
        mistakes = agreement.contract_mistakes(subject, answer)
        if mistakes:
            return "; ".join(mistakes)
        compared = agreement.compare_with_oracle(
            subject, answer, rows=rows, policy=policy, witnesses=lambda _inputs, _rows: known[number]
        )
        return "" if compared.passed else agreement.describe(compared)

    return judge
