"""A worker that is not there: it answers a run's requests with modelled times, and a virtual clock passes them.

Plans and predictions are those of the real worker on a device that has a datasheet and nothing else. What follows is
modelled: what a call launches, what a launch costs the host, what each request costs beside its calls. The latter is
what a default run took on an H200 (docs/gpu.md); the host's part is between public measurements and that machine's.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field

import torch

from harness.gate.known import Known
from harness.instruments.telemetry import sustained
from harness.policy import DEFAULT
from harness.protocol import messages
from harness.records import Agreement, Counts, Degrees, Environment, Memory, Preparation, Ran, Round, Telemetry
from harness.runner.supervisor import Stages
from harness.worker import prediction
from harness.worker.modelled import ModelledDevice, modelled_device
from harness.worker.workbench import CallsAccount, Workbench
from impls import discovery

# Seconds. A worker imports torch and makes a context; torch and CUDA take 5 to 10 s from a warm disk.
START = 8.0
# A preparation beside its calls: inputs, the oracle in float64, one profiler session, two rounds of emptying the pool.
PREPARE = 0.25
# A visit beside its blocks: inputs, the collector, two messages.
VISIT = 0.035
# Recording two graphs and checking them twice; a witness per input set where calls are not deterministic.
RECORD, RECORD_WITNESSES = 0.10, 0.25
CHECK = 0.02
COUNT = 0.5
ENVIRONMENT = 1.5
# What the host needs for a call and for each of its launches, and the shortest that a kernel runs.
CALL, LAUNCH, KERNEL = 8e-6, 5e-6, 2e-6
# Kernels per call; of `online` per block of 128 keys, of `loop` per row.
KERNELS = {"batched": 8, "einsum": 8, "sdpa-math": 20}
KERNELS_PER_BLOCK, KERNELS_PER_ROW = 12, 4
# A device that rested cools by a degree per second or so; a pass of 6.5 s warms it by this much above the first.
WARMED = 12.0


# A virtual machine with two cores: the ceilings of the run in docs/samples/cpu-report.html.
TWO_CORES = ModelledDevice("two cores", {"float32": 2.16e11, "float64": 1e11, "bytes": 4.7e10}, 8 * 2**30)
START_CPU, PREPARE_CPU, VISIT_CPU, CHECK_CPU = 4.0, 0.10, 0.008, 0.07


@dataclass
class VirtualClock:
    """Seconds that pass when somebody says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class ModelledWorker:
    """Answer as a supervisor of workers on a modelled GPU would; `spent` has the seconds by kind of request."""

    clock: VirtualClock
    policy: object = DEFAULT
    device: str = "cuda:0"
    started_workers: int = 0
    first_ready: float | None = None
    spent: dict[str, float] = field(default_factory=dict)
    stages: Stages = field(default_factory=Stages)
    bench: Workbench | None = None
    alive: bool = False
    witnessed: tuple[str, int] | None = None

    def __post_init__(self):
        self.on_gpu = self.device != "cpu"
        self.model = modelled_device() if self.on_gpu else TWO_CORES
        self.bench = Workbench(
            device=torch.device(self.device),
            policy=self.policy,
            announce=lambda _step: None,
            registry=discovery.discover(),
            calls=CallsAccount(),
            known=Known(),
            rates=dict(self.model.rates),
            rest=sustained.Rest(self.policy.telemetry),
            modelled=self.model,
        )

    def ask(self, request, *, seconds=120.0):
        """Pass the time that a request takes, and answer it; later than allowed it is a timeout."""
        if not self.alive:
            self._spend("start", START if self.on_gpu else START_CPU)
            self.alive, self.started_workers = True, self.started_workers + 1
            self.first_ready = self.first_ready if self.first_ready is not None else self.clock.now
        before = self.clock.now
        answer = getattr(self, f"_{type(request).__name__.lower()}")(request)
        if self.clock.now - before > seconds:
            self.alive = False
            self.clock.now = before + seconds
            return messages.Failed(status="timeout", reason=f"no answer within {seconds:.0f} s", worker_gone=True)
        return answer

    require = ask

    def returning_memory(self):
        """Return a second worker under the same clock, as a context."""
        return contextlib.nullcontext(ModelledWorker(self.clock, policy=self.policy, device=self.device))

    def drop(self):
        self.alive = False

    def _spend(self, what: str, seconds: float) -> float:
        self.clock.now += seconds
        self.spent[what] = self.spent.get(what, 0.0) + seconds
        return seconds

    # What a call costs

    def kernels(self, case) -> int:
        if not self.on_gpu:
            return 0
        point = case.point
        n_k = point.get("n_k", point.get("n", 0))
        if case.implementation == "online":
            return KERNELS_PER_BLOCK * math.ceil(n_k / 128)
        if case.implementation == "loop":
            rows = point.get("batch", 1) * point.get("heads", 1) * point.get("n_q", point.get("n", 0))
            return KERNELS_PER_ROW * rows
        return KERNELS.get(case.implementation, 1)

    def host(self, case) -> float:
        if not self.on_gpu:
            return 0.0
        return CALL + LAUNCH * self.kernels(case)

    def device_seconds(self, case) -> float:
        foreseen = prediction._predicted(self.bench, case).predicted
        if not self.on_gpu:
            return foreseen.seconds
        work = foreseen.seconds - prediction.CALL_SECONDS
        if case.implementation == "loop":
            work = 0.0
        return work + KERNEL * self.kernels(case)

    def waited(self, case) -> float:
        return max(self.host(case), self.device_seconds(case))

    def block(self, case, calls: int) -> float:
        """Return what a block takes: it waits behind a sleep of twice what the host needs to enqueue it."""
        lead = min(2.0 * self.host(case) * calls, 0.05) if self.kernels(case) <= 500 else 0.0
        return lead + calls * (self.waited(case) if not lead else self.device_seconds(case))

    # Answers

    def _describe(self, request):
        return prediction.describe(self.bench, request)

    def _predict(self, request):
        return prediction.predict(self.bench, request)

    def _measureenvironment(self, request):
        self._spend("environment", ENVIRONMENT + request.seconds)
        stable = {"device": self.bench.device.type, "gpu": self.model.name}
        return messages.EnvironmentMeasured(environment=Environment(id="modelled", stable=stable))

    def _measureceilings(self, request):
        self._spend("environment", request.seconds)
        return messages.CeilingsMeasured(ceilings=request.known)

    def _prepare(self, request):
        case, timing = request.case, self.policy.timing
        device, waited = self.device_seconds(case), self.waited(case)
        # Agreement, two first calls, one to three profiled, two more for memory on a GPU; then the warm-up.
        calls = (4 if waited > 0.01 else 6) + (2 if self.on_gpu else 0)
        warm = max(timing.warm_up_seconds, timing.warm_up_calls * waited)
        if device >= timing.long_call_seconds:
            warm = 2 * waited
        if device >= timing.slow_call_seconds:
            warm = 2 * waited
        beside = PREPARE if self.on_gpu else PREPARE_CPU
        spent = self._spend("prepare", beside + calls * waited + warm)
        prepared = Preparation(
            agreement=Agreement(passed=True, checks=[]),
            counts=Counts(operations=1, attended=1, ideal_bytes=1),
            memory=Memory(inputs=1),
            ran=Ran(operators={}, kernels={"k": self.kernels(case)}, launches=self.kernels(case) or None),
            call_seconds=device if self.kernels(case) <= 500 else waited,
            warm_up_calls=10,
        )
        return messages.Prepared(prepared=prepared, calls_seconds=spent - beside)

    def _count(self, request):
        self._spend("count", COUNT)
        degrees = Degrees(problem=request.problem, implementation=request.implementation, how="declared")
        return messages.Counted(degrees=degrees)

    def _visit(self, request):
        case = request.case
        blocks = sum(self.block(case, request.calls) for _ in range(request.blocks))
        steady = request.calls * self.waited(case) if request.blocks > 1 and self.on_gpu else 0.0
        beside = VISIT if self.on_gpu else VISIT_CPU
        spent = self._spend("visit", beside + self.waited(case) + blocks + steady)
        sample = self.device_seconds(case) if self.kernels(case) <= 500 else self.waited(case)
        # A fraction of a percent between rounds, so that intervals are as narrow as a quiet GPU gives them.
        samples = [sample * (1 + 2e-3 * (-1) ** (request.index + number)) for number in range(request.blocks)]
        visited = Round(
            index=request.index,
            process=request.process,
            started=self.clock.now,
            calls_per_sample=request.calls,
            samples=samples,
            canary=[] if self.on_gpu else [4e-4] * request.blocks,
            faults_per_call=0.0,
            host_seconds=[self.host(case)] * request.blocks if self.on_gpu else [],
            queued=[self.kernels(case) <= 500] * request.blocks if self.on_gpu else [],
            call_seconds=self.waited(case) if self.on_gpu else None,
        )
        return messages.Visited(round=visited, calls_seconds=spent - beside)

    def _replay(self, request):
        case = request.case
        is_checked = case.implementation in {"sdpa-auto", "sdpa-cudnn", "sdpa-efficient"}
        capture = 24 * self.host(case) + 256 * LAUNCH * min(self.kernels(case), 80)
        replays = (request.blocks + 5) * self.policy.timing.block_seconds_cuda
        # The implementations of a point have the same inputs, whose witnesses are worked out once.
        inputs = (case.point_key, request.seed)
        spent = RECORD + (RECORD_WITNESSES if is_checked and inputs != self.witnessed else 0.0) + capture + replays
        self.witnessed = inputs if is_checked else self.witnessed
        self._spend("replay", spent)
        graph = messages.Replays(samples=[self.device_seconds(case)] * request.blocks, calls=8, inputs=4)
        return messages.Replayed(graph=graph, capture_failed=False, calls_seconds=capture)

    def _sustain(self, _request):
        policy = self.policy.telemetry
        if not self.on_gpu:
            seconds = self._spend("sustain", policy.lead_in_cpu + policy.window_cpu)
            return messages.Sustained(telemetry=Telemetry(), calls_seconds=seconds)
        loads = self.spent.get("sustain", 0.0) > 0.0
        cooling = min(policy.cool_down_at_most, max(0.0, WARMED - policy.cool_within_c)) if loads else 0.0
        load = policy.idle_seconds_cuda + policy.lead_in_cuda + policy.window_cuda
        self._spend("sustain", load + cooling)
        return messages.Sustained(telemetry=Telemetry(), calls_seconds=load)

    def _recheck(self, request):
        self._spend("recheck", (CHECK if self.on_gpu else CHECK_CPU) + 2 * self.waited(request.case))
        agreement = Agreement(passed=True, checks=[], rechecked=True)
        return messages.Rechecked(agreement=agreement, calls_seconds=2 * self.waited(request.case))
