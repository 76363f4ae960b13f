"""The coordinator: a plan for each class, cut into chunks of whole curves, and the loop that has them measured."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.cluster import sharing
from harness.cluster.orders import PLANNING, Asked, Limits, Order, kernels_of
from harness.cluster.roster import differences
from harness.cluster.seen import NoDeviceError
from harness.cluster.sweep import Sweep
from harness.fleet import shards
from harness.results.plan_file import Plan
from harness.runner import budget
from harness.runner.plan import code_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.cluster.engine import DaskEngine
    from harness.cluster.orders import Announcement, Kernel
    from harness.cluster.seen import Engine, Listener, Patience
    from harness.cluster.store import Store
    from harness.policy import RunPolicy
    from harness.records import PlannedCase, Status
    from harness.runner.selection import Request, TimeLimits

# Between two looks at a sweep, in seconds.
TICK_SECONDS = 0.2


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """Take Ctrl-C as a flag meanwhile: an exception in the middle of the engine's calls would leave work behind."""
    flag = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: flag.set())
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, before)


def drive(sweep: Sweep, engine: DaskEngine, *, interrupt: threading.Event, keep: Callable[[], object]) -> None:
    """Bring a sweep to its end; `keep` is called at each look. Raises KeyboardInterrupt, and what a sweep raises.

    Whatever ends it, no attempt of it goes on where a worker can be reached.
    """
    try:
        while not sweep.is_over:
            if interrupt.is_set():
                raise KeyboardInterrupt
            keep()
            sweep.look(time.monotonic())
            time.sleep(TICK_SECONDS)
    finally:
        if not sweep.is_over:
            sweep.stop()
            engine.wait_for_end()


def offered(engine: Engine) -> Counter[str]:
    """Count the workers of each class that can measure for us: ready, and of our code. Raises ConnectionError."""
    ours = code_fingerprint()
    return Counter(
        worker.announced.on
        for worker in engine.workers().values()
        if worker.announced and worker.is_ready and not differences(ours, worker.announced.fingerprint)
    )


def classes(engine: Engine, *, patience: Patience, interrupt: threading.Event) -> tuple[str, ...]:
    """Return the classes that there are, as soon as there is one. Raises NoDeviceError, ConnectionError."""
    since = time.monotonic()
    while not (found := offered(engine)):
        if interrupt.is_set():
            raise KeyboardInterrupt
        if time.monotonic() - since >= patience.lonely:
            ours = code_fingerprint()
            known = [worker.announced for worker in engine.workers().values() if worker.announced]
            differing = [(one, differences(ours, one.fingerprint)) for one in known]
            refused = [f"{one.place} is refused: {differs}" for one, differs in differing if differs]
            raise NoDeviceError(
                "; ".join(refused)
                or "the scheduler has no worker of attnbench: start `attnbench worker` on the devices"
            )
        time.sleep(TICK_SECONDS)
    return tuple(sorted(found))


def plans(
    engine: DaskEngine,
    request: Request,
    *,
    limits: TimeLimits,
    classes: Sequence[str],
    listener: Listener,
    patience: Patience,
    interrupt: threading.Event,
    keep: Callable[[], object],
) -> dict[str, Plan]:
    """Have the plan of each class made on one of its workers. Raises MistakeError, NoDeviceError, ConnectionError."""
    found: dict[str, Plan] = {}

    def accept(order: Order, _worker: Announcement, content: bytes) -> None:
        plan = Plan.model_validate_json(content)
        found[order.on] = plan.model_copy(update={"impl_files": [kernel.path for kernel in order.kernels]})

    def abandon(_order: Order, losses: list[str], _status: Status) -> None:
        raise ConnectionError(f"no plan could be made: {'; '.join(losses)}")

    asked, kernels, fingerprint = Asked.of(request), kernels_of(request.impl_files), code_fingerprint()
    orders = [
        Order(
            chunk=PLANNING,
            on=on,
            fingerprint=fingerprint,
            kernels=kernels,
            limits=Limits.of(limits, budget=given_seconds(limits, device=on, policy=request.policy.run)),
            asked=asked,
        )
        for on in classes
    ]
    sweep = Sweep(
        orders,
        engine,
        fingerprint=fingerprint,
        accept=accept,
        abandon=abandon,
        listener=listener,
        patience=patience,
    )
    drive(sweep, engine, interrupt=interrupt, keep=keep)
    return found


def measure(
    engine: DaskEngine,
    store: Store,
    *,
    one_per_host: bool,
    listener: Listener,
    patience: Patience,
    interrupt: threading.Event,
    keep: Callable[[], object],
) -> None:
    """Have what a store lacks measured. Raises NoDeviceError, ConnectionError, KeyboardInterrupt."""
    sweep = Sweep(
        store.missing(),
        engine,
        fingerprint=code_fingerprint(),
        accept=store.accept,
        abandon=store.abandon,
        listener=listener,
        patience=patience,
        one_per_host=one_per_host,
    )
    drive(sweep, engine, interrupt=interrupt, keep=keep)


def given_seconds(limits: TimeLimits, *, device: str, policy: RunPolicy) -> float:
    """Return the time budget of a sweep, in seconds: what was given, or a run's own on a device or class of them."""
    if limits.budget is not None:
        return limits.budget
    return budget.time_budget("cpu" if device == "cpu" else "cuda", policy)


def orders(plan: Plan, *, on: str, workers: int, limits: TimeLimits, kernels: Sequence[Kernel]) -> list[Order]:
    """Cut the plan of a class into orders for so many devices; each has the time of a run, or what was given."""
    given = given_seconds(limits, device=plan.device, policy=plan.policy.run)
    seconds = sharing.weights(plan, devices=workers, seconds=given)

    def call_seconds(planned: PlannedCase) -> float:
        return 0.0 if planned.skip or planned.predicted is None else planned.predicted.seconds

    chunks = sharing.chunks(plan, devices=workers, seconds=seconds)
    bridge = shards.bridge_of(plan.cases, baseline=plan.baseline, call_seconds=call_seconds)
    rooms = sharing.rooms(plan, chunks, devices=workers, seconds=given)
    made = []
    for number, (chunk, room) in enumerate(zip(chunks, rooms, strict=True), start=1):
        name = f"{number:0{len(str(len(chunks)))}d}"
        cases, part = shards.with_bridge(plan.cases, chunk, name=f"{on}-{name}", bridge=bridge)
        scenarios = {name for planned in cases for name in (planned.case.scenario, *planned.case.also)}
        part_plan = plan.model_copy(
            update={
                "cases": cases,
                "part": part,
                "scenarios": [scenario for scenario in plan.scenarios if scenario.name in scenarios],
            }
        )
        made.append(
            Order(
                chunk=name,
                on=on,
                seconds=chunk.seconds,
                fingerprint=plan.fingerprint,
                kernels=list(kernels),
                limits=Limits.of(limits, budget=room),
                plan=part_plan,
            )
        )
    return made
