"""The bench: the worker's side of a run, holding the implementations and one device."""

from __future__ import annotations

import functools
import gc
from dataclasses import replace
from time import perf_counter
from time import time as wall_clock
from typing import TYPE_CHECKING, Any

import torch

# Timers are bound in harness.timing before the first implementation is imported.
from harness import timing  # isort: skip
from harness import (
    battery,
    ceilings,
    counting,
    directions,
    environment,
    graphs,
    kernels,
    memory,
    sampling,
    telemetry,
)
from harness.agreement import agree
from harness.protocol import messages
from harness.records import Agreement, Case, Counts, Prediction, Preparation, Round
from impls import discovery, registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.records import Status
    from impls.contract import Cost, Implementation, Limits, Witness

    Handler = Callable[[Any], messages.Answer]

# Share of the matrix-product rate that attention is expected to reach, for predicting time only.
EXPECTED_SHARE = 0.4
# Passes over a materialised score matrix: write, scale, softmax twice, read.
SCORE_PASSES = 6
# Dispatch cost of one call, in seconds.
CALL_SECONDS = 2e-5
# Backward of a materialising implementation keeps the weights and needs two gradients of their size.
BACKWARD_BUFFERS = 2.0
# Between the seeds of a re-check's inputs and of those written over them.
RENEWED = 500
# Inputs whose witnesses are kept: the re-check of a point's implementations goes back and forth between two.
WITNESSES_KEPT = 2
# Calls of a case before its warm-up: agreement, loading, resident memory, profile.
CALLS_BEFORE = 4
# Profiling a call of ten thousand operators takes ten times as long as the call; beyond this it is profiled once.
REPEATED_SECONDS_AT_MOST = 0.01
# Counting visits each operator in Python; beyond this the small sizes of `count` say the same sooner.
COUNTED_SECONDS_AT_MOST = 0.05


class Bench:
    """Answer the parent's requests about one device."""

    def __init__(self, request: messages.Start, *, announce: Callable[[str], None]) -> None:
        self.announce = announce
        self.policy = request.policy
        self.device = torch.device(request.device)
        self.calls_seconds = 0.0
        if request.threads:
            torch.set_num_threads(request.threads)
        self._rates: dict[str, float] = {}
        self._witnessed: dict[Any, tuple[Witness, ...]] = {}
        self._canary = timing.Canary(self.policy.timing.canary_size) if self.device.type == "cpu" else None
        self._watch: telemetry.Watch | None = None
        self._rest = telemetry.Rest(self.policy.telemetry)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
            self._watch = telemetry.Watch(str(self.device))
        self.registry = discovery.discover(impl_files=request.impl_files, announce=announce, skip=request.skip)
        announce("start")
        timing.mend_clocks()
        # What is imported stays: without it each collection before timing would walk all of torch, 0.2 s a visit.
        gc.collect()
        gc.freeze()
        self._cap()

    def handlers(self) -> dict[str, Handler]:
        """Return what answers each request."""
        return {
            "describe": self.describe,
            "predict": self.predict,
            "environment": self.environment,
            "ceilings": self.ceilings,
            "prepare": self._watched(self.prepare),
            "visit": self._watched(self.visit),
            "replay": self.replay,
            "recheck": self._watched(self.recheck),
            "sustain": self._watched(self.sustain),
            "battery": self.battery,
            "count": self.count,
            "probe": self.probe,
        }

    def _watched(self, handler: Handler) -> Handler:
        """Refuse a case whose implementation replaced a clock; the timers here were bound before it was loaded."""

        def answer(request: messages.Request) -> messages.Answer:
            try:
                answered = handler(request)
            finally:
                replaced = timing.mend_clocks()
            if replaced:
                reason = f"it replaced {', '.join(f'time.{name}' for name in replaced)}"
                return messages.Refused(
                    status="invalid", reason=reason, calls_seconds=getattr(answered, "calls_seconds", 0.0)
                )
            return answered

        return answer

    def started(self) -> messages.Started:
        """Say that requests may come."""
        return messages.Started(free=memory.free_bytes(self.device))

    def _cap(self) -> None:
        """Limit what this process may allocate, so that a case that takes too much fails alone."""
        share = self.policy.memory.share
        if self.device.type == "cuda":
            torch.cuda.set_per_process_memory_fraction(min(1.0, share + 0.3), self.device)
        elif self.device.type == "cpu":
            memory.cap_process(int(share * memory.free_bytes(self.device)))

    # What there is

    def describe(self, _: messages.Describe) -> messages.Described:
        """List implementations by problem with limits on this device, and why one is unavailable."""
        listed = [self._described(entry) for entry in self.registry.entries.values()]
        listed += [
            messages.DescribedImplementation(
                problem=missing.problem,
                name=missing.name,
                available=False,
                reason=missing.reason,
                source=missing.source,
            )
            for missing in self.registry.unavailable.values()
        ]
        return messages.Described(
            device_name=device_name(self.device), implementations=listed, threads=torch.get_num_threads()
        )

    def _described(self, entry: Implementation) -> messages.DescribedImplementation:
        limits = entry.limits_on(self.device.type)
        reason = "" if limits else f"runs on {', '.join(d for at in entry.limits for d in at.devices)} only"
        if limits:
            missing = missing_packages(limits)
            reason = f"needs {', '.join(missing)}, which can't be imported" if missing else ""
        return messages.DescribedImplementation(
            problem=entry.problem,
            name=entry.name,
            available=not reason,
            reason=reason,
            dtypes=list(limits.dtypes) if limits else [],
            supports=sorted(limits.supports) if limits else [],
            deterministic=entry.deterministic,
            source=entry.source,
        )

    def environment(self, request: messages.MeasureEnvironment) -> messages.EnvironmentMeasured:
        """Describe the machine, and measure its ceilings for the dtypes of the run."""
        self.announce("environment")
        found = environment.describe(str(self.device))
        self.announce("ceilings")
        measured = ceilings.measure(str(self.device), request.dtypes, seconds=request.seconds)
        return messages.EnvironmentMeasured(environment=found.model_copy(update={"ceilings": measured}))

    def ceilings(self, request: messages.MeasureCeilings) -> messages.CeilingsMeasured:
        """Measure known ceilings again, at the end of a run."""
        self.announce("ceilings")
        return messages.CeilingsMeasured(
            ceilings=ceilings.again(str(self.device), request.known, seconds=request.seconds)
        )

    # Agreement alone

    def battery(self, request: messages.ListProbes) -> messages.ProbesListed:
        """List the titles of a problem's battery."""
        listed = battery.tasks(registry.problem(request.problem), quick=request.quick, only=request.only)
        return messages.ProbesListed(
            probes=[messages.ListedProbe(probe=task.name, direction=task.direction) for task in listed]
        )

    def probe(self, request: messages.RunProbe) -> messages.Probed:
        """Run one task of the battery for one implementation."""
        problem = registry.problem(request.problem)
        subject = battery.Subject(
            problem=problem,
            implementation=registry.get(request.problem, request.implementation),
            dtype=request.dtype,
            device=str(self.device),
            policy=self.policy.gate,
            seed=request.seed,
        )
        task = battery.tasks(problem, quick=request.quick, only=request.only)[request.index]
        self.announce(task.title)
        return messages.Probed(outcome=battery.run(subject, task))

    # Before a case runs

    def predict(self, request: messages.Predict) -> messages.Predicted:
        """Predict operations, bytes and seconds of each case, or why it will not run."""
        return messages.Predicted(predictions=[self._predicted(case) for case in request.cases])

    def _predicted(self, case: Case) -> messages.CasePrediction:
        unavailable = self.registry.unavailable.get((case.problem, case.implementation))
        if unavailable is not None:
            return messages.CasePrediction(skip="unavailable", reason=unavailable.reason)
        entry = registry.get(case.problem, case.implementation)
        problem = registry.problem(case.problem)
        try:
            point = registry.parse(entry, case.point)
        except ValueError as error:
            return messages.CasePrediction(skip="unsupported", reason=f"not a point of {case.problem}: {error}")
        try:
            cost = problem.cost(point, itemsize=dtype_of(case).itemsize, direction=case.direction)
        # A point may be too large even to count its pairs.
        except (RuntimeError, MemoryError, OverflowError) as error:
            reason = f"too large to plan: {str(error).splitlines()[0][:200]}"
            return messages.CasePrediction(skip="predicted_oom", reason=reason)
        prediction = self._prediction(case, entry, cost)
        skip, reason = self._skip(case, entry, problem.features(point, direction=case.direction), prediction)
        return messages.CasePrediction(skip=skip, reason=reason, predicted=prediction)

    def _skip(
        self, case: Case, entry: Implementation, needed: frozenset[str], prediction: Prediction
    ) -> tuple[Status | None, str]:
        limits = entry.limits_on(self.device.type)
        if limits is None:
            return "unsupported", self._described(entry).reason
        missing = missing_packages(limits)
        if missing:
            return "unavailable", f"needs {', '.join(missing)}, which can't be imported"
        if case.dtype not in limits.dtypes:
            return "unsupported", f"takes {', '.join(limits.dtypes)}, not {case.dtype}"
        lacks = sorted(needed - limits.supports)
        if lacks:
            return "unsupported", f"lacks {', '.join(lacks)}"
        free = memory.free_bytes(self.device)
        share = self.policy.memory.share
        needs = prediction.resident_bytes + prediction.extra_bytes
        if needs > share * free:
            return "predicted_oom", f"{prediction.arithmetic} = {needs:,} B > {share:.0%} of {free:,} B free"
        return None, ""

    def _prediction(self, case: Case, entry: Implementation, cost: Cost) -> Prediction:
        itemsize = dtype_of(case).itemsize
        buffers = entry.score_buffers
        if buffers and case.direction != "forward":
            buffers += BACKWARD_BUFFERS
        extra = int(buffers * cost.score_elements * itemsize)
        resident = cost.input_bytes + cost.output_bytes
        if case.direction != "forward":
            resident += cost.input_bytes + 2 * cost.output_bytes
        seconds = cost.operations / (EXPECTED_SHARE * self._rate(case.dtype))
        seconds += entry.call_seconds_per_row * cost.query_rows + CALL_SECONDS
        if buffers:
            seconds += SCORE_PASSES * cost.score_elements * itemsize / (4 * self._rate("bytes"))
        return Prediction(
            operations=cost.operations,
            extra_bytes=extra,
            resident_bytes=resident,
            seconds=seconds,
            arithmetic=f"{buffers:g} score buffers x {cost.score_elements:,} x {itemsize} B + {resident:,} B tensors",
        )

    def _rate(self, kind: str) -> float:
        """Return a quick estimate of FLOP/s of a dtype, or of B/s for "bytes"."""
        if kind not in self._rates:
            self._rates[kind] = quick_rate(kind, self.device)
        return self._rates[kind]

    def prepare(self, request: messages.Prepare) -> messages.Prepared | messages.Refused:
        """Hold a case against the oracle, then learn its memory, what it runs, and how long a call takes."""
        case, entry, problem, point = self._case(request.case)
        limits = entry.limits_on(self.device.type)
        before = self.calls_seconds
        self.announce("agreement")
        agreement = self._agree(case, seed=request.seed)
        if not agreement.passed:
            return self._refusal("disagreed", agreement, before)
        self.announce("profile")
        cost = problem.cost(point, itemsize=dtype_of(case).itemsize, direction=case.direction)
        inputs = problem.inputs(point, dtype=dtype_of(case), device=self.device, seed=request.seed + 1)
        started = perf_counter()
        with directions.direct(problem, entry, inputs, direction=case.direction) as directed:
            prepare_seconds = perf_counter() - started if entry.prepare is not None else None
            clock = timing.clock_for(self.device, cold=False)
            call = self._counted(directed.call)
            # The first call of an operator also loads and plans it, which takes memory of its own.
            call()
            begun = self.calls_seconds
            with memory.resident_peak() as resident:
                outputs = directions.returned_bytes(call())
            is_quick = self.calls_seconds - begun <= REPEATED_SECONDS_AT_MOST
            profile = kernels.profile(
                call,
                device=self.device,
                synchronize=clock.synchronize,
                calls=(kernels.CALLS_CUDA if self.device.type == "cuda" else memory.REPEATS) if is_quick else 1,
            )
            reason = kernels.is_fallback(profile.ran, limits.expects) if limits else ""
            if reason:
                return messages.Refused(status="fallback", reason=reason, calls_seconds=self.calls_seconds - before)
            sizes = {
                "inputs": sum(tensor.nbytes for tensor in inputs.tensors),
                "outputs": outputs,
                "saved": directed.saved_bytes,
                "predicted": request.predicted_bytes,
            }
            if self._watch is not None:
                used = memory.on_cuda(
                    directed.call,
                    device=self.device,
                    driver=self._watch.process_bytes,
                    outside_from=self.policy.memory.outside_from,
                    **sizes,
                )
            else:
                used = memory.on_cpu(profile.allocations, resident=resident, **sizes)
            self.announce("warm-up")
            calls = sampling.warm_up(
                lambda: self._timed(clock, directed.call, 1).seconds, policy=self.policy.timing, before=CALLS_BEFORE
            )
            call_seconds = sorted(calls)[len(calls) // 2]
            counted = counting.count(call) if call_seconds <= COUNTED_SECONDS_AT_MOST else None
        prepared = Preparation(
            agreement=agreement,
            counts=Counts(
                operations=cost.operations,
                attended=cost.attended,
                ideal_bytes=cost.ideal_bytes,
                phases=dict(cost.phases),
                how="counted" if counted and not counted.opaque else "declared",
                counted=counted.operations if counted and not counted.opaque else None,
                by_operator=counted.by_operator if counted else {},
            ),
            memory=used,
            ran=profile.ran,
            prepare_seconds=prepare_seconds,
            call_seconds=call_seconds,
            warm_up_calls=len(calls),
        )
        return messages.Prepared(prepared=prepared, calls_seconds=self.calls_seconds - before)

    def count(self, request: messages.Count) -> messages.Counted:
        """Count an implementation's operations at small sizes along each axis, for the degree of its law."""
        self.announce("counting operations")
        entry = registry.get(request.problem, request.implementation)
        found = counting.degrees(
            registry.problem(request.problem),
            entry,
            device=self.device,
            dtype=getattr(torch, request.dtype),
            direction=request.direction,
        )
        return messages.Counted(degrees=found)

    # While it is timed

    def visit(self, request: messages.Visit) -> messages.Visited:
        """Time a few blocks of a case on fresh inputs, a canary around each."""
        case, entry, problem, point = self._case(request.case)
        before = self.calls_seconds
        self.announce("inputs")
        inputs = problem.inputs(point, dtype=dtype_of(case), device=self.device, seed=request.seed)
        clock = timing.clock_for(self.device, cold=case.cache == "cold")
        samples: list[float] = []
        canary: list[float] = []
        host: list[float] = []
        made: list[int] = []
        started = wall_clock()
        self.announce("timing")
        with directions.direct(problem, entry, inputs, direction=case.direction) as directed, timing.quiet_collector():
            self._timed(clock, directed.call, 1)
            first = timing.read_counters()
            beside = self._canary.seconds() if self._canary else 0.0
            for _ in range(request.blocks):
                block = self._timed(clock, directed.call, request.calls)
                previous, beside = beside, self._canary.seconds() if self._canary else 0.0
                samples.append(block.seconds)
                host.append(block.host)
                made.append(block.calls)
                if self._canary:
                    canary.append(max(previous, beside))
            last = timing.read_counters()
        seen = self._watch.snapshot() if self._watch else telemetry.Snapshot()
        total = sum(made)
        ticks = last.total - first.total
        visited = Round(
            index=request.index,
            process=request.process,
            started=started,
            calls_per_sample=min(made),
            samples=samples,
            canary=canary,
            faults_per_call=(last.minor_faults - first.minor_faults) / total,
            involuntary_switches=last.involuntary_switches - first.involuntary_switches,
            steal_share=(last.steal - first.steal) / ticks if ticks > 0 else None,
            host_seconds=host if self.device.type != "cpu" else [],
            sm_clock_mhz=seen.clock_mhz,
            throttle=seen.throttle if seen.is_throttled else [],
        )
        return messages.Visited(round=visited, calls_seconds=self.calls_seconds - before)

    def replay(self, request: messages.Replay) -> messages.Replayed:
        """Time a case inside a CUDA graph over inputs in turn, its outputs checked before and after."""
        case, entry, problem, point = self._case(request.case)
        before = self.calls_seconds
        self.announce("CUDA graph")
        clock = timing.clock_for(self.device, cold=False)
        found = graphs.visit(
            graphs.Subject(problem, entry, point, dtype_of(case), self.device),
            recorder=graphs.CudaRecorder(self.device),
            timed=functools.partial(self._timed, clock),
            seed=request.seed,
            seconds_a_call=request.call_seconds,
            blocks=request.blocks,
            policy=self.policy.timing,
            gate=self.policy.gate,
        )
        return messages.Replayed(
            graph=messages.Replays(
                samples=list(found.samples), calls=found.calls, inputs=found.inputs, reason=found.reason
            ),
            capture_failed=found.is_spoilt,
            calls_seconds=self.calls_seconds - before,
        )

    def recheck(self, request: messages.Recheck) -> messages.Rechecked | messages.Refused:
        """Hold a timed case against the oracle again, on inputs it has not seen."""
        case, _, _, _ = self._case(request.case)
        before = self.calls_seconds
        self.announce("agreement after timing")
        agreement = self._agree(case, seed=request.seed, renewed=request.seed + RENEWED)
        agreement = agreement.model_copy(update={"rechecked": True})
        if not agreement.passed:
            return self._refusal("disagreed", agreement, before, when="after timing, ")
        return messages.Rechecked(agreement=agreement, calls_seconds=self.calls_seconds - before)

    def sustain(self, request: messages.Sustain) -> messages.Sustained:
        """Load the device with a case for seconds and report its state meanwhile."""
        case, entry, problem, point = self._case(request.case)
        before = self.calls_seconds
        self.announce("sustained load")
        inputs = problem.inputs(point, dtype=dtype_of(case), device=self.device, seed=request.seed)
        cost = problem.cost(point, itemsize=dtype_of(case).itemsize, direction=case.direction)
        clock = timing.clock_for(self.device, cold=False)
        started = perf_counter()
        with directions.direct(problem, entry, inputs, direction=case.direction) as directed:
            found = telemetry.sustained(
                directed.call,
                device=str(self.device),
                synchronize=clock.synchronize,
                call_seconds=request.call_seconds,
                operations=cost.operations,
                policy=self.policy.telemetry,
                rest=self._rest,
            )
        # While the device cooled nothing was called.
        self.calls_seconds += perf_counter() - started - found.summary.get("cool_down_s", 0.0)
        return messages.Sustained(telemetry=found, calls_seconds=self.calls_seconds - before)

    # Parts

    def _refusal(self, status: Status, agreement: Agreement, before: float, *, when: str = "") -> messages.Refused:
        failed = next((check for check in agreement.checks if not check.passed), None)
        reason = f"{when}{failed.name}: {failed.detail or describe_excess(failed.ratio)}" if failed else when
        if agreement.worst:
            reason += f" at {agreement.worst}"
        return messages.Refused(
            status=status, reason=reason, agreement=agreement, calls_seconds=self.calls_seconds - before
        )

    def _case(self, case: Case) -> tuple[Case, Implementation, Any, Any]:
        entry = registry.get(case.problem, case.implementation)
        return case, entry, registry.problem(case.problem), registry.parse(entry, case.point)

    def _agree(self, case: Case, *, seed: int, renewed: int | None = None) -> Agreement:
        entry = registry.get(case.problem, case.implementation)
        return agree(
            registry.problem(case.problem),
            self._accounted(entry),
            registry.parse(entry, case.point),
            dtype=dtype_of(case),
            device=self.device,
            direction=case.direction,
            seed=seed,
            renewed=renewed,
            policy=self.policy.gate,
            witnesses=functools.partial(self._witness, case),
        )

    def _witness(self, case: Case, seed: int, inputs: Any, rows: torch.Tensor) -> tuple[Witness, ...]:
        """Return what defines right for a point's inputs, worked out once for the implementations that share them.

        The gate asks only after it has seen that the implementation left its inputs as they were.
        """
        entry = registry.get(case.problem, case.implementation)
        key = (case.problem, registry.parse(entry, case.point), case.dtype, seed)
        if key not in self._witnessed:
            while len(self._witnessed) >= WITNESSES_KEPT:
                del self._witnessed[next(iter(self._witnessed))]
            self._witnessed[key] = registry.problem(case.problem).witness(inputs, rows)
        return self._witnessed[key]

    def _accounted(self, entry: Implementation) -> Implementation:
        """Return the implementation with its calls' time added to this worker's account."""
        build = entry.prepare
        if build is None:
            return replace(entry, function=self._counted(entry.function))
        return replace(entry, prepare=lambda *tensors, **options: self._counted(build(*tensors, **options)))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            start = perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.calls_seconds += perf_counter() - start

        return counted

    def _timed(self, clock: timing.Clock, call: Callable[[], Any], calls: int) -> timing.Block:
        start = perf_counter()
        block = clock.block(call, calls)
        self.calls_seconds += perf_counter() - start
        return block


def dtype_of(case: Case) -> torch.dtype:
    """Return a case's torch dtype."""
    dtype = getattr(torch, case.dtype)
    assert isinstance(dtype, torch.dtype)
    return dtype


def missing_packages(limits: Limits) -> list[str]:
    """List the optional packages of an implementation that this interpreter doesn't have."""
    import importlib.util

    return [name for name in limits.requires if importlib.util.find_spec(name) is None]


def describe_excess(ratio: float | None) -> str:
    """Say how far an error exceeds its budget."""
    return "not finite" if ratio is None else f"error is {ratio:.3g} times its budget"


def device_name(device: torch.device) -> str:
    """Return the device's marketing name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return environment.cpu_model() or "CPU"


def quick_rate(kind: str, device: torch.device) -> float:
    """Estimate FLOP/s of a dtype (or B/s for "bytes") in some milliseconds, for predicting time only."""
    # 256 keeps a dtype without a fast path (float16 on many CPUs) within tens of milliseconds.
    size = 256 if device.type == "cpu" else 4096
    clock = timing.clock_for(device, cold=False)
    if kind == "bytes":
        source = torch.zeros(2**24, dtype=torch.uint8, device=device)
        target = torch.empty_like(source)
        return 2 * source.nbytes / min(clock.block(lambda: target.copy_(source), 1).seconds for _ in range(4))
    matrix = torch.ones(size, size, dtype=getattr(torch, kind), device=device)
    return 2 * size**3 / min(clock.block(lambda: matrix @ matrix, 1).seconds for _ in range(4))
