"""`attnbench run` on several devices at once: workers here or on a scheduler, one directory of what they found."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attnbench.console import INTERRUPTED, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from attnbench.options import Cases, Devices, Effort, Place, Telling
    from harness.cluster.crew import Crew
    from harness.cluster.engine import DaskEngine
    from harness.cluster.seen import Patience
    from harness.cluster.store import Store
    from harness.runner.selection import Request, TimeLimits
    from reports.terminal.devices import Shown

# Seconds until workers that are started here must be there: a process each, on a busy machine.
START_SECONDS = 90.0
LOCAL = "local"
# What the merge and the page need and nothing before them does: some 1.5 s in which each device would be idle.
NEEDED_LAST = ("harness.verdicts.judging", "reports.page.render", "seaborn", "jinja2")


@dataclass(frozen=True)
class Fleet:
    """Workers within reach: their engine, the classes wanted of them, what keeps them, and how long to wait.

    `started` counts the workers of each class that were started here; it is empty if others start them.
    """

    engine: DaskEngine
    classes: tuple[str, ...]
    started: Counter[str]
    keep: Callable[[], object]
    patience: Patience


def run_on_many(
    cases: Cases,
    place: Place,
    effort: Effort,
    *,
    devices: Devices,
    directory: Path,
    resume: bool,
    telling: Telling,
) -> list[str]:
    """Measure on several devices and merge what was found into a directory; return what to warn of."""
    from attnbench.reading import make_run_request, make_time_limits
    from attnbench.resuming import check_swept
    from harness.cluster.coordinate import interrupts
    from harness.cluster.store import Store
    from reports.terminal.devices import shown

    try:
        check(cases, place, devices)
        limits = make_time_limits(effort)
        request = make_run_request(cases, place, effort, device="cpu")
        store = Store(directory)
        if resume:
            store.reopen()
            check_swept(store, request, limits, cases=cases, place=place, effort=effort, devices=devices)
        else:
            store.make()
        with interrupts() as interrupt, shown(is_quiet=telling.quiet, is_json=telling.json) as screen:
            if not resume or store.missing():
                with reached(place, devices) as fleet:
                    measure(store, request, limits, fleet=fleet, devices=devices, screen=screen, interrupt=interrupt)
            screen.note("merging the parts")
            return store.merge()
    except KeyboardInterrupt:
        kept = "interrupted: the parts that are done are kept; continue with --resume"
        has_begun = store.fleet() is not None
        raise fail(kept if has_begun else "interrupted before anything was measured", INTERRUPTED) from None
    except (ValueError, ConnectionError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{error.filename or directory}: {error.strerror or error}") from None


def check(cases: Cases, place: Place, devices: Devices) -> None:
    """Refuse options that can't go together. Raises SelectionError, MissingEngineError, CertificateError."""
    from harness.cluster import quiet, tls
    from harness.runner.selection import SelectionError

    if (devices.workers is None) == (devices.cluster is None):
        raise SelectionError("several devices need --workers, for those of this host, or --cluster: one of the two")
    if devices.workers is not None and devices.workers != LOCAL and not devices.workers.isdecimal():
        raise SelectionError(f"--workers {devices.workers!r} must read local, or how many")
    if devices.cluster is not None and (place.device is not None or devices.cores_per_worker is not None):
        raise SelectionError("--device and --cores-per-worker are each worker's own: give them to `attnbench worker`")
    if cases.shard != "1/1":
        raise SelectionError("--shard cuts a plan for machines that know nothing of each other: not with several here")
    quiet.require_engine()
    certificates = tls.given(devices.tls_ca, devices.tls_cert, devices.tls_key)
    if devices.cluster is not None:
        address, file = scheduler_of(devices.cluster)
        tls.check(certificates, address=address, scheduler_file=file)


def scheduler_of(cluster: str) -> tuple[str, str]:
    """Return the address of a scheduler, and the file that it wrote: one of the two, "" for the other."""
    return ("", cluster) if Path(cluster).is_file() else (cluster, "")


@contextlib.contextmanager
def reached(place: Place, devices: Devices) -> Iterator[Fleet]:
    """Start workers here with a scheduler of their own, or connect to those of a cluster.

    Raises PlaceError, DeviceError, CertificateError, ConnectionError.
    """
    from harness.cluster import tls
    from harness.cluster.crew import Crew, Reach, own_folder
    from harness.cluster.engine import DaskEngine, LocalScheduler
    from harness.cluster.places import places
    from harness.cluster.seen import Patience

    certificates = tls.given(devices.tls_ca, devices.tls_cert, devices.tls_key)
    wanted = devices.classes
    with contextlib.ExitStack() as stack:
        if devices.cluster is not None:
            address, file = scheduler_of(devices.cluster)
            engine = DaskEngine(address=address, scheduler_file=file, certificates=certificates)
            stack.callback(engine.close)
            yield Fleet(engine, wanted, Counter(), keep=lambda: None, patience=Patience())
            return
        count = None if devices.workers == LOCAL else int(devices.workers or 1)
        found = places(count=count, cores_each=devices.cores_per_worker, device=place.device)
        started = Counter(one.on for one in found)
        refuse_unknown(wanted, started)
        scheduler = LocalScheduler(stack.enter_context(own_folder("attnbench-tls-")))
        stack.callback(scheduler.close)
        reach = Reach(scheduler=scheduler.address, host="127.0.0.1", certificates=scheduler.certificates)
        crew = stack.enter_context(Crew(found, reach))
        engine = DaskEngine(address=scheduler.address, certificates=scheduler.certificates)
        stack.callback(engine.close)
        yield Fleet(engine, wanted or tuple(started), started, kept(crew), Patience(lonely=START_SECONDS))


def kept(crew: Crew) -> Callable[[], None]:
    """Return what starts lost workers again, which raises ConnectionError once none can be."""

    def keep() -> None:
        if not crew.look():
            raise ConnectionError("no worker is left here, nor one that could be started; what was measured is kept")

    return keep


def refuse_unknown(wanted: Iterable[str], started: Counter[str]) -> None:
    """Refuse classes that no worker of this host will offer. Raises NoDeviceError."""
    from harness.cluster.seen import NoDeviceError, there_is

    for name in wanted:
        if name not in started:
            raise NoDeviceError(f"no worker offers {name!r}; {there_is(started)}")


def load_early() -> None:
    """Import what the end of a sweep needs."""
    for name in NEEDED_LAST:
        importlib.import_module(name)


def measure(
    store: Store,
    request: Request,
    limits: TimeLimits,
    *,
    fleet: Fleet,
    devices: Devices,
    screen: Shown,
    interrupt: threading.Event,
) -> None:
    """Plan for each class where that was not done, then have measured what is missing."""
    from harness.cluster import coordinate
    from harness.cluster.orders import kernels_of

    # While workers start and one of them plans, nothing is measured yet.
    threading.Thread(target=load_early, daemon=True).start()
    one_per_host = devices.one_per_host
    if (known := store.fleet()) is None:
        classes = fleet.classes or coordinate.classes(fleet.engine, patience=fleet.patience, interrupt=interrupt)
        found = coordinate.plans(
            fleet.engine,
            request,
            limits=limits,
            classes=classes,
            listener=screen,
            patience=fleet.patience,
            interrupt=interrupt,
            keep=fleet.keep,
        )
        kernels = kernels_of(request.impl_files)
        offered = coordinate.offered(fleet.engine)
        ordered = [
            order
            for on, plan in found.items()
            for order in coordinate.orders(
                plan, on=on, workers=max(1, offered[on], fleet.started[on]), limits=limits, kernels=kernels
            )
        ]
        store.begin(ordered, command=[*request.command], one_per_host=devices.one_per_host, limits=limits)
    else:
        screen.note(f"resuming: scenarios, cases and options are those of {store.directory}")
        one_per_host = one_per_host or known.one_per_host
        if fleet.started:
            refuse_unknown((order.on for order in store.missing()), fleet.started)
    coordinate.measure(
        fleet.engine,
        store,
        one_per_host=one_per_host,
        listener=screen,
        patience=fleet.patience,
        interrupt=interrupt,
        keep=fleet.keep,
    )
