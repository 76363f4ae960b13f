"""What is measured on request: a case's preparation, its rounds, its load, its re-check, and an operation count."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from time import perf_counter
from time import time as wall_clock
from typing import TYPE_CHECKING, Any

import torch

from harness.instruments import (
    counting,
    cuda_graphs,
    directions,
    kernels,
    lingering,
    memory,
    remembering,
    rounds,
    timing,
)
from harness.instruments.degrees import degrees
from harness.instruments.telemetry import sampler, sustained
from harness.instruments.watched import PlainBlocks, WatchedBlocks
from harness.protocol import messages
from harness.records import Counts, Memory, Preparation, Round
from harness.stats.blocks import warm_up
from harness.worker import timed_calls
from harness.worker.workbench import RefusedError
from impls import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.instruments.counting import OperationCount
    from harness.instruments.directions import MeasuredCall
    from harness.worker.workbench import Workbench
    from impls.contract import Cost, Inputs
    from impls.subject import Subject

# Between the seeds of a re-check's inputs and of those written over them.
SECOND_SEED_OFFSET = 500
# Profiling a call of ten thousand operators takes ten times as long as the call; beyond this it is profiled once.
REPEATED_SECONDS_AT_MOST = 0.01
# Counting visits each operator in Python; beyond this the small sizes of `count` say the same sooner.
COUNTED_SECONDS_AT_MOST = 0.05


# Preparation


def prepare(bench: Workbench, request: messages.Prepare) -> messages.Prepared:
    """Hold a case against the oracle, then learn its memory, what it runs, and how long a call takes."""
    subject = bench.subject(request.case)
    first = _first_call(bench, subject, seed=request.seed)
    bench.announce("agreement")
    agreement = bench.hold(subject, seed=request.seed)
    agreed_seconds = bench.calls.seconds
    bench.announce("profile")
    cost = subject.cost()
    inputs = bench.inputs.of(subject, request.seed + 1)
    clock = timing.clock_for(bench.device, cold=False)
    started = perf_counter()
    with directions.measured_call(subject, inputs) as measured:
        prepare_seconds = perf_counter() - started if subject.implementation.prepare is not None else None
        is_quick = agreed_seconds <= REPEATED_SECONDS_AT_MOST
        profiled = _profile(bench, subject, measured, inputs, clock=clock, is_quick=is_quick)
        used = _memory(bench, measured, inputs, profiled=profiled, predicted=request.predicted_bytes)
        bench.announce("warm-up")
        warmed = _warm_up(bench, measured, clock=clock, before=1 + profiled.calls)
        call_seconds = sorted(warmed)[len(warmed) // 2]
        bench.announce("counting")
        counted = _counted(bench, measured, used, call_seconds=call_seconds)
        used = _beyond_torch(bench, used, counted, first)
        lingers = _lingering(bench, subject, measured)
    prepared = Preparation(
        agreement=agreement,
        counts=_counts(cost, counted),
        memory=used,
        ran=profiled.profile.ran.model_copy(update={"within": subject.implementation.within_name or None}),
        prepare_seconds=prepare_seconds,
        call_seconds=call_seconds,
        warm_up_calls=len(warmed),
        lingering_seconds=lingers,
        notes=_notes(bench, subject, lingers),
    )
    return messages.Prepared(prepared=prepared, calls_seconds=bench.calls.seconds)


def _first_call(bench: Workbench, subject: Subject, *, seed: int) -> memory.Resident | None:
    """Make the first call of a library that torch doesn't see into; return what the process grows by at most.

    The library keeps part of it, so that later calls show less. None for all others, and on a GPU.
    """
    if not subject.implementation.outside_torch or bench.device.type != "cpu":
        return None
    bench.announce("first call")
    inputs = bench.inputs.of(subject, seed)
    with memory.resident_peak() as resident, directions.measured_call(subject, inputs) as measured:
        measured.call()
    return resident


def _beyond_torch(
    bench: Workbench, used: Memory, counted: OperationCount | None, first: memory.Resident | None
) -> Memory:
    """Withdraw the allocator's peak where memory came from elsewhere: by declaration, or as the process grew by more.

    The second is concluded of calls alone whose work hides from torch.
    """
    if first is not None:
        reason = "memory outside torch's allocator: what the process grew by, its first call included, stands instead"
        return memory.beyond_torch(used, resident=first, reason=reason)
    if counted is None or not counted.opaque or not _outgrows(bench, used):
        return used
    reason = f"the process grew by {used.rss_peak:,} bytes, of which torch's allocator gave {used.peak:,}"
    return memory.beyond_torch(used, resident=memory.Resident(), reason=reason)


def _outgrows(bench: Workbench, used: Memory) -> bool:
    """Tell whether the process grew by more than torch's allocator gave, beyond what its own bookkeeping takes."""
    if used.peak is None or used.rss_peak is None:
        return False
    return used.rss_peak - used.peak >= bench.policy.memory.rss_trusted_from


def _lingering(bench: Workbench, subject: Subject, measured: MeasuredCall) -> float | None:
    """Return the processor seconds used after a call where they are more than torch's threads use; measured once.

    None on a GPU, whose host waits by computing.
    """
    if bench.device.type != "cpu":
        return None
    key = (subject.implementation.problem, subject.implementation.name)
    if key not in bench.lingering:
        bench.lingering[key] = lingering.lingering_seconds(bench.calls.counted(measured.call))
    seconds = bench.lingering[key]
    return seconds if seconds > bench.policy.timing.lingering_at_most else None


def _notes(bench: Workbench, subject: Subject, lingers: float | None) -> list[str]:
    """Say what the source changed when it was imported, what goes on after a call, and whether it is approximate."""
    entry = subject.implementation
    source = bench.registry.brought_by.get((entry.problem, entry.name), entry.source)
    changed = bench.process.changed_by.get(source) or bench.process.changed_by.get(entry.source)
    notes = [f"on import it {', '.join(changed)}; put back"] if changed else []
    if lingers is not None:
        used, wait = f"{lingers * 1e3:.0f} ms of processor time", f"{lingering.WAIT_SECONDS * 1e3:.0f} ms"
        notes.append(f"its threads go on: {used} in the {wait} after a call, which disturbs what is measured next")
    return [*notes, "approximate: its errors are data"] if entry.approximate else notes


@dataclass(frozen=True)
class Profiled:
    """What the first calls showed: operators and allocations, resident peak, bytes returned; how many there were."""

    profile: kernels.Profile
    resident: memory.Resident
    output_bytes: int
    calls: int


def _profile(
    bench: Workbench, subject: Subject, measured: MeasuredCall, inputs: Inputs, *, clock: timing.Clock, is_quick: bool
) -> Profiled:
    """Profile a call, or several quick ones. Raises RefusedError if none of the expected operators ran.

    An operator made of others leaves no name in its graph: where backward shows none, the call that builds one does.

    The resident peak is of the same calls: what the profiler itself takes lies below where that figure is trusted.
    """
    call, returned = bench.calls.counted(measured.call), [0]

    def profiled() -> None:
        returned.append(directions.returned_bytes(call()))

    if bench.device.type == "cuda" or subject.implementation.prepare is not None:
        # The gate's call ran what it built for itself; the first call of this one also loads and plans.
        profiled()
    calls = (kernels.CALLS_CUDA if bench.device.type == "cuda" else memory.REPEATS) if is_quick else 1
    with memory.resident_peak() as resident:
        profile = kernels.profile(profiled, device=bench.device, synchronize=clock.synchronize, calls=calls)
    limits = subject.implementation.limits_on(bench.device.type)
    reason = kernels.is_fallback(profile.ran, limits.expects) if limits else ""
    if reason and limits and subject.direction == "backward" and not limits.expects.kernels:
        built = kernels.profile(subject.bind(inputs), device=bench.device, synchronize=clock.synchronize)
        reason = kernels.is_fallback(built.ran, limits.expects)
    if reason:
        raise RefusedError("fallback", reason)
    return Profiled(profile, resident, returned[-1], len(returned) - 1)


def _memory(
    bench: Workbench, measured: MeasuredCall, inputs: Inputs, *, profiled: Profiled, predicted: int | None
) -> Memory:
    """Measure the memory of a call: from the profile's allocations on a CPU, by more calls on CUDA."""
    sizes = memory.Sizes(
        inputs=sum(tensor.nbytes for tensor in inputs.tensors),
        outputs=profiled.output_bytes,
        saved=measured.saved_bytes,
        predicted=predicted,
    )
    if bench.watch is None:
        return memory.on_cpu(profiled.profile.allocations, sizes=sizes, resident=profiled.resident)
    return memory.on_cuda(
        measured.call,
        device=bench.device,
        sizes=sizes,
        driver=bench.watch.process_bytes,
        outside_from=bench.policy.memory.outside_from,
    )


def _warm_up(bench: Workbench, measured: MeasuredCall, *, clock: timing.Clock, before: int) -> list[float]:
    """Call until start-up cost is over, after so many calls before; return the seconds of each call."""
    return warm_up(
        lambda: bench.calls.block(clock, measured.call, 1).seconds,
        policy=bench.policy.timing,
        before=before,
        clock=None if bench.device.type == "cpu" else perf_counter,
    )


def _counted(bench: Workbench, measured: MeasuredCall, used: Memory, *, call_seconds: float) -> OperationCount | None:
    """Count the operations of a short call, and of one whose memory may have come from elsewhere than torch."""
    is_wanted = call_seconds <= COUNTED_SECONDS_AT_MOST or _outgrows(bench, used)
    return counting.count(bench.calls.counted(measured.call)) if is_wanted else None


def _counts(cost: Cost, counted: OperationCount | None) -> Counts:
    """Return what was counted beside what the problem declares."""
    is_counted = counted is not None and not counted.opaque
    return Counts(
        operations=cost.operations,
        required=cost.required,
        attended=cost.attended,
        ideal_bytes=cost.ideal_bytes,
        phases=dict(cost.phases),
        how="counted" if is_counted else "declared",
        counted=counted.operations if counted and is_counted else None,
        by_operator=counted.by_operator if counted else {},
    )


def count(bench: Workbench, request: messages.Count) -> messages.Counted:
    """Count an implementation's operations at small sizes along each axis, for the degree of its law."""
    bench.announce("counting operations")
    found = degrees(
        registry.problem(request.problem),
        registry.get(request.problem, request.implementation),
        device=bench.device,
        dtype=getattr(torch, request.dtype),
        direction=request.direction,
    )
    return messages.Counted(degrees=found)


# While it is timed


def visit(bench: Workbench, request: messages.Visit) -> messages.Visited:
    """Time a few blocks of a case on fresh inputs, a canary around each; look at what the calls gave.

    Every other watched visit writes new values into the inputs before each block, the others the same again.
    """
    arrived = perf_counter()
    subject = bench.subject(request.case)
    bench.announce("inputs")
    inputs = bench.inputs.of(subject, request.seed)
    clock = timing.clock_for(bench.device, cold=request.case.cache == "cold", launches=request.launches)
    timed = functools.partial(_booked, bench, clock)
    seen: list[sampler.Snapshot] = []

    def look() -> None:
        # While calls are queued: a moment later the clocks are those of an idle device.
        if bench.watch is not None:
            seen.append(bench.watch.snapshot())

    started = wall_clock()
    watching = bench.watching[request.case.id]
    is_due = watching.is_due(bench.policy.timing.watched_share)
    is_new, is_split = is_due and watching.is_new, bench.device.type == "cpu"
    bench.announce("timing")
    bench.stages.begin("between blocks")
    with directions.measured_call(subject, inputs) as measured, timing.quiet_collector():
        blocks_of = (
            WatchedBlocks(timed, measured.written, watching=watching, is_split=is_split, faults=timing.minor_faults)
            if is_due
            else PlainBlocks(timed, is_split=is_split, faults=timing.minor_faults)
        )
        if blocks_of.needs_warming(request.calls):
            with bench.stages.inside("untimed calls"):
                blocks_of.warm(measured.call)
        if bench.watch is not None:
            bench.watch.begin()
        first = timing.read_counters()
        blocks, canary = rounds.take_blocks(
            blocks_of.block,
            measured.call,
            calls=request.calls,
            count=request.blocks,
            canary=bench.canary,
            meanwhile=None if bench.watch is None else look,
        )
        last = timing.read_counters()
        waited = waited_seconds(bench, clock, measured.call, blocks)
    if isinstance(blocks_of, WatchedBlocks):
        bench.stages.begin("looking at results")
        with watching.spending():
            timed_calls.hold(bench, subject, inputs, blocks_of, seed=request.seed)
        watching.watched += 1
    watching.total += perf_counter() - arrived
    calls = sum(block.calls for block in blocks)
    ticks = last.total - first.total
    visited = Round(
        index=request.index,
        process=request.process,
        started=started,
        calls_per_sample=min(block.calls for block in blocks),
        samples=[block.seconds for block in blocks],
        canary=canary,
        faults_per_call=blocks_of.faulted / calls,
        involuntary_switches=last.involuntary_switches - first.involuntary_switches,
        first_seconds=list(blocks_of.first),
        later_seconds=list(blocks_of.later),
        new_values=is_new,
        input_sets=1 + (len(blocks) if is_new else 0),
        steal_share=(last.steal - first.steal) / ticks if ticks > 0 else None,
        host_seconds=[block.host for block in blocks] if bench.device.type != "cpu" else [],
        queued=[block.queued for block in blocks] if bench.device.type != "cpu" else [],
        call_seconds=waited,
        sm_clock_mhz=next((snapshot.clock_mhz for snapshot in seen), None),
        throttle=sorted({name for snapshot in seen if snapshot.is_throttled for name in snapshot.throttle}),
    )
    return messages.Visited(round=visited, calls_seconds=bench.calls.seconds)


def _booked(
    bench: Workbench, clock: timing.Clock, call: Callable[[], Any], calls: int, *, meanwhile: timing.Meanwhile = None
) -> timing.Block:
    """Time a block of calls; its seconds are a stage of their own: on a GPU launches and the sleep before them too."""
    with bench.stages.inside("timed samples" if bench.device.type == "cpu" else "queueing and timing blocks"):
        return bench.calls.block(clock, call, calls, meanwhile=meanwhile)


def waited_seconds(
    bench: Workbench, clock: timing.Clock, call: Callable[[], object], blocks: Sequence[timing.Block]
) -> float | None:
    """Return the seconds per call of as many calls in a row as a block has, launches included.

    None on a CPU, where samples are just that, and for slow calls, whose launches do not show.
    """
    if bench.device.type == "cpu" or blocks[-1].seconds >= bench.policy.timing.slow_call_seconds:
        return None
    started = perf_counter()
    waited = clock.steady(call, blocks[-1].calls)
    bench.calls.seconds += perf_counter() - started
    return waited


def replay(bench: Workbench, request: messages.Replay) -> messages.Replayed:
    """Time a case inside a CUDA graph over inputs in turn, its outputs checked before and after."""
    subject = replace(bench.subject(request.case), direction="forward")
    bench.announce("CUDA graph")
    # One stream for all: each that cuBLAS runs on keeps a workspace of some 32 MiB.
    bench.recorder = bench.recorder or cuda_graphs.CudaRecorder(bench.device)
    replays = cuda_graphs.visit(
        subject,
        recorder=bench.recorder,
        # A replay is one launch, whatever it holds.
        timed=functools.partial(bench.calls.block, timing.clock_for(bench.device, cold=False, launches=1)),
        seed=request.seed,
        call_seconds=request.call_seconds,
        launches=request.launches,
        blocks=request.blocks,
        policy=bench.policy.timing,
        gate=bench.policy.gate,
        known=bench.known,
    )
    return messages.Replayed(
        graph=messages.Replays(
            samples=replays.samples, calls=replays.calls, inputs=replays.inputs, reason=replays.reason
        ),
        capture_failed=replays.capture_failed,
        calls_seconds=bench.calls.seconds,
    )


def recheck(bench: Workbench, request: messages.Recheck) -> messages.Rechecked:
    """Hold a timed case against the oracle again, on inputs that it has not seen."""
    subject = bench.subject(request.case)
    bench.announce("agreement after timing")
    agreement = bench.hold(
        subject,
        seed=request.seed,
        second_seed=request.seed + SECOND_SEED_OFFSET,
        rows=bench.policy.gate.rows_rechecked,
        when="after timing, ",
    )
    second_look = None if request.look_again is None else _look_again(bench, subject, request)
    return messages.Rechecked(
        agreement=agreement.model_copy(update={"rechecked": True}),
        second_look=second_look,
        calls_seconds=bench.calls.seconds,
    )


def _look_again(bench: Workbench, subject: Subject, request: messages.Recheck) -> messages.SecondLook:
    """Make calls on new values and on values seen in turn."""
    inputs = bench.inputs.of(subject, request.seed)
    clock = timing.clock_for(bench.device, cold=request.case.cache == "cold")
    with directions.measured_call(subject, inputs) as measured, timing.quiet_collector():
        answer = remembering.look_again(
            functools.partial(bench.calls.block, clock),
            measured.call,
            measured.written,
            calls=request.look_again or 1,
            policy=bench.policy.timing,
            known=bench.canary.product if bench.canary else None,
        )
    return messages.SecondLook(
        found=answer.found,
        pairs=len(answer.pairs),
        new_seconds=answer.middle("new") or 0.0,
        seen_seconds=answer.middle("seen") or 0.0,
        later_seconds=answer.middle("later"),
    )


def sustain(bench: Workbench, request: messages.Sustain) -> messages.Sustained:
    """Load the device with a case for seconds and report its state meanwhile."""
    subject = bench.subject(request.case)
    bench.announce("sustained load")
    inputs, cost = subject.inputs(seed=request.seed), subject.cost()
    clock = timing.clock_for(bench.device, cold=False)
    started = perf_counter()
    with directions.measured_call(subject, inputs) as measured:
        state = sustained.sustained(
            measured.call,
            device=str(bench.device),
            synchronize=clock.synchronize,
            call_seconds=request.call_seconds,
            operations=cost.operations,
            policy=bench.policy.telemetry,
            rest=bench.rest,
        )
    # While the device cooled nothing was called.
    bench.calls.seconds += perf_counter() - started - state.summary.get("cool_down_s", 0.0)
    return messages.Sustained(telemetry=state, calls_seconds=bench.calls.seconds)
