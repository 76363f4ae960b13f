"""The workbench: what a worker holds while it answers, the implementations, one device, and what their calls took."""

from __future__ import annotations

import copy
import functools
import gc
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

# Timers are bound in harness.instruments.timing before the first implementation is imported.
from harness.instruments import timing  # isort: skip
from harness.gate.agreement import agree, describe
from harness.gate.known import Known
from harness.instruments import cuda, memory, watched
from harness.instruments.telemetry import sampler, sustained
from harness.machine import processor
from harness.worker.modelled import modelled_device
from harness.worker.process_state import ProcessState
from harness.worker.stages import BookedCanary, Stages
from impls import discovery, registry
from impls.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from harness.instruments.cuda_graphs import CudaRecorder
    from harness.policy import MemoryPolicy, Policy
    from harness.protocol.messages import Start
    from harness.records import Agreement, Case, Status
    from harness.worker.modelled import ModelledDevice
    from impls.contract import Implementation, Inputs, Witness
    from impls.registry import Registry

# Inputs that are kept: preparation goes back and forth between two; and the most that one may take, in bytes.
INPUTS_KEPT = 2
INPUT_BYTES_KEPT = 2**27
# Bound before any implementation is imported, so that none can replace it later.
_clone = torch.Tensor.clone
# A device's own allocator may use this much more than cases are planned to.
DEVICE_SHARE_ABOVE = 0.3


class RefusedError(Exception):
    """A case gets no time: the status and reason of its record, and the gate's result if that refused it."""

    def __init__(self, status: Status, reason: str, agreement: Agreement | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.agreement = status, reason, agreement


class CallsAccount:
    """The seconds spent inside calls of implementations since the request under way began."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function with the time of its calls added to the account."""

        def counted(*arguments: Any, **options: Any) -> Any:
            start = perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds += perf_counter() - start

        return counted

    def implementation(self, entry: Implementation) -> Implementation:
        """Return an implementation with the time of its calls added to the account."""
        build = entry.prepare
        if build is None:
            return replace(entry, function=self.counted(entry.function))
        return replace(entry, prepare=lambda *tensors, **options: self.counted(build(*tensors, **options)))

    def block(
        self, clock: timing.Clock, call: Callable[[], Any], calls: int, *, meanwhile: timing.Meanwhile = None
    ) -> timing.Block:
        """Time a block of calls and add the whole of it to the account."""
        start = perf_counter()
        block = clock.block(call, calls, meanwhile=meanwhile)
        self.seconds += perf_counter() - start
        return block


class BookedKnown(Known):
    """What is known to be right; working it out is a stage of its own."""

    def __init__(self, stages: Stages) -> None:
        super().__init__()
        self._stages = stages

    def of(self, inputs: Hashable, work_out: Callable[[], tuple[Witness, ...]]) -> tuple[Witness, ...]:
        """Return the witnesses of inputs, worked out where they are not known."""

        def booked() -> tuple[Witness, ...]:
            with self._stages.inside("oracle"):
                return work_out()

        return super().of(inputs, booked)


class KnownInputs:
    """Inputs drawn last, of which the implementations that share them get copies: drawing takes ten times as long.

    On a GPU, which draws quickly, and for large inputs nothing is kept.
    """

    def __init__(self) -> None:
        self._known: dict[Any, Inputs] = {}

    def of(self, subject: Subject, seed: int) -> Inputs:
        """Return a subject's inputs of a seed, as tensors of the caller's own."""
        if subject.device.type != "cpu":
            return subject.inputs(seed=seed)
        key = (subject.implementation.problem, subject.point, subject.dtype, seed)
        if key in self._known:
            return _copied(self._known[key])
        drawn = subject.inputs(seed=seed)
        if sum(tensor.nbytes for tensor in drawn.tensors) <= INPUT_BYTES_KEPT:
            while len(self._known) >= INPUTS_KEPT:
                del self._known[next(iter(self._known))]
            self._known[key] = _copied(drawn)
        return drawn


def _copied(inputs: Inputs) -> Inputs:
    """Copy inputs with each tensor as it lies; those that are one and the same, or lie in one buffer, stay so."""
    tensors = {id(tensor): tensor for tensor in inputs.tensors}
    sharing = Counter(tensor.untyped_storage().data_ptr() for tensor in tensors.values())
    # A clone takes a fifth of the time of a deep copy, and lies in a buffer of its own, without gaps.
    alone = {
        name: _clone(tensor)
        for name, tensor in tensors.items()
        if tensor.is_contiguous() and sharing[tensor.untyped_storage().data_ptr()] == 1
    }
    return copy.deepcopy(inputs, alone)


@dataclass
class Workbench:
    """What the answers to requests share. `canary` is a CPU's, `watch` a CUDA device's; `stages` books its time.

    With `modelled` the device is not here, and plans alone are made for it.
    """

    device: torch.device
    policy: Policy
    announce: Callable[[str], None]
    registry: Registry
    calls: CallsAccount
    known: Known
    rates: dict[str, float]
    rest: sustained.Rest
    stages: Stages = field(default_factory=Stages)
    inputs: KnownInputs = field(default_factory=KnownInputs)
    canary: timing.Canary | None = None
    watch: sampler.Watch | None = None
    # How its visits in this process were watched, by the id of each case.
    watching: dict[str, watched.Watching] = field(default_factory=lambda: defaultdict(watched.Watching))
    # The settings that implementations share, as they were before the first was imported.
    process: ProcessState = field(default_factory=ProcessState)
    recorder: CudaRecorder | None = None
    modelled: ModelledDevice | None = None
    # Processor seconds used after a call, by problem and implementation.
    lingering: dict[tuple[str, str], float] = field(default_factory=dict)
    # What `load`s are done, by source and name.
    loaded: set[tuple[str, str]] = field(default_factory=set)

    @property
    def has_context(self) -> bool:
        """Tell whether there is a CUDA device whose context can be asked."""
        return self.device.type == "cuda" and self.modelled is None

    def settle(self) -> None:
        """Let collections walk only what is made from now on: modules that calls brought in stay.

        Each collection before timing would walk all of them, 60 ms per visit. Nothing of a case is alive between
        requests; what is garbage then goes first.
        """
        gc.collect()
        gc.freeze()

    def load(self, entry: Implementation) -> None:
        """Import what an implementation needs, once a process; what that changes of the process is put back and noted.

        Raises RefusedError where that fails.
        """
        key = (entry.source, entry.load.__qualname__) if entry.load else None
        if entry.load is None or key is None or key in self.loaded:
            return
        self.announce(f"loading what {entry.name} needs")
        try:
            entry.load()
        # A package whose compiled part is of another version of torch, of CUDA or of Python.
        except (ImportError, OSError, AttributeError, RuntimeError) as error:
            reason = f"can't be imported: {type(error).__name__}: {str(error).strip().splitlines()[0][:300]}"
            raise RefusedError("unavailable", reason) from None
        finally:
            timing.mend_clocks()
            self.process.imported(entry.source)
        self.loaded.add(key)

    def free_bytes(self) -> int:
        """Return the bytes that a new case could use."""
        return self.modelled.free_bytes if self.modelled else memory.free_bytes(self.device)

    def subject(self, case: Case) -> Subject:
        """Return what a case is about. Raises KeyError, ValueError."""
        entry = registry.get(case.problem, case.implementation)
        problem, point = registry.problem(case.problem), registry.parse(entry, case.point)
        return Subject(problem, entry, point, dtype_of(case), self.device, case.direction)

    def hold(
        self,
        subject: Subject,
        *,
        seed: int,
        second_seed: int | None = None,
        rows: int | None = None,
        when: str = "",
    ) -> Agreement:
        """Hold one call against the oracle, on the policy's rows or on so many.

        Raises RefusedError if it disagrees; `when` begins the reason.
        """
        agreement = agree(
            replace(subject, implementation=self.calls.implementation(subject.implementation)),
            seed=seed,
            second_seed=second_seed,
            policy=self.policy.gate if rows is None else self.policy.gate.model_copy(update={"rows": rows}),
            known=self.known,
            draw=functools.partial(self.inputs.of, subject),
        )
        if not agreement.passed:
            raise RefusedError("disagreed", when + describe(agreement), agreement)
        return agreement


def set_up(start: Start, *, announce: Callable[[str], None]) -> Workbench:
    """Find the implementations and make the device ready for them."""
    device = torch.device(start.device)
    threads = start.threads or processor.quota_threads(torch.get_num_threads())
    if threads != torch.get_num_threads():
        torch.set_num_threads(threads)
    modelled = modelled_device() if start.modelled else None
    has_context = device.type == "cuda" and modelled is None
    if has_context:
        torch.cuda.set_device(device)
        # Creates the context, so that NVML's list of processes is known to hold this one.
        cuda.DRIVER.probe(device)
        cuda.DRIVER.settle_backends(device)
    process = ProcessState()
    mending = _mending(process, announce)
    found = discovery.discover(impl_files=start.impl_files, announce=mending, skip=start.skip)
    mending("start")
    stages = Stages()

    def announced(step: str) -> None:
        stages.begin(step)
        announce(step)

    bench = Workbench(
        device=device,
        process=process,
        policy=start.policy,
        announce=announced,
        calls=CallsAccount(),
        stages=stages,
        known=BookedKnown(stages),
        rates=dict(modelled.rates) if modelled else {},
        modelled=modelled,
        rest=sustained.Rest(start.policy.telemetry),
        canary=BookedCanary(start.policy.timing.canary_size, stages) if device.type == "cpu" else None,
        watch=sampler.Watch(str(device)) if has_context else None,
        registry=found,
    )
    timing.mend_clocks()
    bench.settle()
    if modelled is None:
        cap_allocations(device, policy=start.policy.memory)
    return bench


def _mending(process: ProcessState, announce: Callable[[str], None]) -> Callable[[str], None]:
    """Return an announcer that first puts back what the source announced before has changed."""
    last: list[str] = []

    def announced(step: str) -> None:
        if last:
            process.imported(last.pop())
        last.append(step.removeprefix(discovery.IMPORTING))
        announce(step)

    return announced


def cap_allocations(device: torch.device, *, policy: MemoryPolicy) -> None:
    """Limit what this process may allocate, so that a case that takes too much fails alone."""
    if device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(min(1.0, policy.share + DEVICE_SHARE_ABOVE), device)
    elif device.type == "cpu":
        memory.cap_process(int(policy.share * memory.free_bytes(device)))


def dtype_of(case: Case) -> torch.dtype:
    """Return a case's torch dtype."""
    dtype = getattr(torch, case.dtype)
    assert isinstance(dtype, torch.dtype)
    return dtype
