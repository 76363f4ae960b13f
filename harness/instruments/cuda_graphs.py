"""CUDA graphs: short calls replayed without the host, over inputs in turn, their outputs checked before and after."""

from __future__ import annotations

import functools
import itertools
import math
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch

from harness.gate import agreement
from harness.gate.call import Answer, contract_mistakes
from harness.gate.known import Known
from harness.instruments import cuda, directions
from harness.stats.blocks import calls_per_block

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.instruments.cuda import Driver
    from harness.instruments.timing import Block
    from harness.policy import GatePolicy, TimingPolicy
    from impls.subject import Subject

    Call = Callable[[], Any]
    Outputs = tuple[torch.Tensor, ...]
    Judge = Callable[[int, Outputs], str]


# Libraries choose algorithms and allocate workspaces in their first calls on a stream (PyTorch's notes on CUDA graphs
# warm up three times), which a capture would refuse.
WARM_UPS = 3
# Calls that are checked on each set of inputs: a second one shows results that are kept.
CALLS_PER_INPUT = 2
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

    def __init__(self, device: torch.device, *, driver: Driver | None = None) -> None:
        self._device = device
        self._driver = driver or cuda.DRIVER
        self._stream = self._driver.stream(device)

    def eager(self, calls: Sequence[Call]) -> list[Any]:
        """Make each call a few times on the capturing stream and return its last results."""
        current = self._driver.current_stream(self._device)
        self._stream.wait_stream(current)
        with self._driver.on(self._stream):
            results = [[call() for call in calls] for _ in range(WARM_UPS)][-1]
        current.wait_stream(self._stream)
        self._driver.synchronize(self._device)
        return results

    def record(self, calls: Sequence[Call], *, keep: frozenset[int]) -> tuple[Graph, list[Any]]:
        """Capture the calls. Raises what torch or the implementation raises where a call can't be captured."""
        kept: list[Any] = []
        driver = self._driver
        # A capture that fails leaves its stream the current one: the outer context puts the caller's back.
        with driver.on(driver.current_stream(self._device)), driver.capture(self._stream) as graph:
            for position, call in enumerate(calls):
                result = call()
                if position in keep:
                    kept.append(result)
        return graph, kept


@dataclass(frozen=True)
class Replays:
    """Seconds per call of each block of replays, the calls in the graph, and the input sets that it was checked on.

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
    call_seconds: float,
    blocks: int,
    policy: TimingPolicy,
    gate: GatePolicy,
    launches: int | None = None,
    known: Known | None = None,
) -> Replays:
    """Draw fresh input sets, record the forward call on them in turn, and time replays of that graph.

    A deterministic implementation must give in the graph what it gave outside, bit by bit; another must pass the gate
    on each set, whose witnesses are looked up in what is `known`: the implementations of a point have the same inputs.
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
            call_seconds=call_seconds,
            blocks=blocks,
            policy=policy,
            launches=launches,
            judge=None
            if subject.implementation.deterministic
            else _gate(subject, sets, seed=seed, policy=gate, known=known or Known()),
        )


def replays(
    calls: Sequence[Call],
    *,
    recorder: Recorder,
    timed: Callable[[Call, int], Block],
    call_seconds: float,
    blocks: int,
    policy: TimingPolicy,
    launches: int | None = None,
    judge: Judge | None = None,
) -> Replays:
    """Record calls on one set of inputs until a graph fills a block, and a few on each set; check, time, check again.

    The graph on one set is timed, as calls outside of it have one set too: with several it would read them from further
    away. `timed` times so many calls of a function. Outputs are NaN before a replay that is checked, and must then be
    what `judge` accepts, by default what each call gave outside of the graph. An error in capturing is a reason; one of
    the device is raised.
    """
    sets = len(calls)
    count = _graph_calls(call_seconds, launches=launches, policy=policy)
    turns = CALLS_PER_INPUT * sets
    expected = [_outputs(result, copy=True) for result in recorder.eager(calls)]
    try:
        rotating = _Recorded(
            *recorder.record(list(itertools.islice(itertools.cycle(calls), turns)), keep=frozenset(range(turns)))
        )
        # The first call and the last: were results cached, they would be the same memory.
        steady = _Recorded(*recorder.record([calls[0]] * count, keep=frozenset({0, count - 1})))
    # Whatever an implementation does that can't be captured costs the figure and not the case.
    except Exception as error:  # noqa: BLE001
        # Ending a capture that failed fails too; what came first says why.
        cause = error.__context__ or error
        first = str(cause).strip().split("\n")[0][:300]
        reason = f"can't be captured: {type(cause).__name__}: {first}"
        return Replays(calls=count, inputs=sets, reason=reason, capture_failed=True)
    judge = judge or (lambda number, found: _difference(found, expected[number]))

    def mistake() -> str:
        return _checked(rotating, sets, judge=judge, timed=timed, of=sets) or _checked(
            steady, 1, judge=judge, timed=timed, of=sets
        )

    wrong = _shared(rotating.outputs) or _shared(steady.outputs) or mistake()
    if wrong:
        return Replays(calls=count, inputs=sets, reason=f"before timing, {wrong}")
    # Inside the graph a call may be far shorter than outside.
    once = timed(steady.graph.replay, 1).seconds
    again = calls_per_block(once, target=policy.block_seconds_cuda, at_most=policy.graph_calls_at_most)
    samples = [timed(steady.graph.replay, again).seconds / count for _ in range(blocks)]
    wrong = mistake()
    if wrong:
        return Replays(calls=count, inputs=sets, reason=f"after timing, {wrong}")
    return Replays(samples=samples, calls=count, inputs=sets)


@dataclass(frozen=True)
class _Recorded:
    """A graph and the results of those of its calls that were kept."""

    graph: Graph
    results: list[Any]

    @property
    def outputs(self) -> list[Outputs]:
        """Return the tensors of each kept result."""
        return [_outputs(result, copy=False) for result in self.results]


def _graph_calls(call_seconds: float, *, launches: int | None, policy: TimingPolicy) -> int:
    """Return how many calls the timed graph has: at least two, and no more kernels than the policy allows."""
    at_most = policy.graph_calls_at_most
    if launches:
        at_most = min(at_most, policy.graph_nodes_at_most // launches)
    wanted = calls_per_block(call_seconds, target=policy.block_seconds_cuda, at_most=max(1, at_most))
    return max(2, wanted)


def _outputs(result: Any, *, copy: bool) -> Outputs:
    """Return the tensors of a call's result."""
    listed = result if type(result) is tuple else (result,)
    taken = [torch.Tensor.detach(tensor) for tensor in listed]
    return tuple(tensor.clone() if copy else tensor for tensor in taken)


def _shared(kept: Sequence[Outputs]) -> str:
    """Say whether two calls of the graph gave the same memory: then one of them did no work."""
    addresses = [tensor.untyped_storage().data_ptr() for outputs in kept for tensor in outputs]
    return "" if len(set(addresses)) == len(addresses) else "calls of the graph share an output: results are cached"


def _checked(recorded: _Recorded, sets: int, *, judge: Judge, timed: Callable[[Call, int], Block], of: int) -> str:
    """Poison the kept outputs, replay once, and say what is wrong with them; calls take so many sets in turn."""
    for outputs in recorded.outputs:
        for tensor in outputs:
            tensor.fill_(math.nan)
    timed(recorded.graph.replay, 1)
    for position, outputs in enumerate(recorded.outputs):
        number = position % sets
        unwritten = sum(int(tensor.isnan().sum()) for tensor in outputs)
        wrong = f"{unwritten} elements were not written" if unwritten else judge(number, outputs)
        if wrong:
            return f"input set {number + 1} of {of}: {wrong}"
    return ""


def _difference(found: Outputs, expected: Outputs) -> str:
    """Say how outputs differ from those of the call outside of the graph, empty if they don't."""
    if len(found) == len(expected) and all(torch.equal(a, b) for a, b in zip(found, expected, strict=True)):
        return ""
    largest = max(float((a.double() - b.double()).abs().max()) for a, b in zip(found, expected, strict=True))
    return f"the graph's output differs from the call's by up to {largest:.3g}"


def _gate(subject: Subject, sets: Sequence[Any], *, seed: int, policy: GatePolicy, known: Known) -> Judge:
    """Return the gate as a judge; what defines right is worked out once for each set."""
    problem = subject.problem
    rows = problem.sample_rows(subject.point, count=policy.rows, seed=seed)
    drawn = (subject.implementation.problem, subject.point, subject.dtype, str(subject.device), seed, policy.rows)

    def judge(number: int, outputs: Outputs) -> str:
        inputs = sets[number]
        right = known.of(("graph", number, *drawn), functools.partial(problem.witness, inputs, rows))
        answer = Answer(inputs, tuple(inputs.tensors), outputs, None, ())
        mistakes = contract_mistakes(subject, answer)
        if mistakes:
            return "; ".join(mistakes)
        compared = agreement.compare_with_oracle(
            subject, answer, rows=rows, policy=policy, witnesses=lambda _inputs, _rows: right
        )
        return "" if compared.passed else agreement.describe(compared)

    return judge
