"""`attnbench worker`: lends this host's devices to sweeps that a scheduler elsewhere hands out."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from attnbench.console import INTERRUPTED, fail, say, say_json
from attnbench.options import CoresPerWorker, Device, Telling, TlsCa, TlsCert, TlsKey, grouped

# Between two looks at the workers, in seconds.
TICK_SECONDS = 0.5


@grouped
def worker_command(
    *,
    scheduler: Annotated[str | None, typer.Argument(help="Address of the scheduler: tcp://HOST:PORT.")] = None,
    scheduler_file: Annotated[
        Path | None, typer.Option("--scheduler-file", help="File that the scheduler wrote, instead of its address.")
    ] = None,
    device: Device = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="How many workers; one on every GPU, else one on the CPU.")
    ] = None,
    cores_per_worker: CoresPerWorker = None,
    on: Annotated[
        str | None, typer.Option("--class", help="Class that --on names; of the model if not given, such as h100.")
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on; that of the way to the scheduler if not given.")
    ] = None,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    telling: Telling,
) -> None:
    """Work for `attnbench run --cluster` on each device of this host, until its scheduler is gone.

    Whoever reaches the scheduler can run any code here as this user: see docs/cluster.md.

    Example: attnbench worker --scheduler-file sched.json
    """
    from harness.cluster import quiet, tls
    from harness.cluster.crew import Crew, Reach
    from harness.cluster.places import places

    if (scheduler is None) == (scheduler_file is None):
        raise fail("say which scheduler: its address, or --scheduler-file FILE")
    if scheduler_file is not None and not scheduler_file.is_file():
        raise fail(f"--scheduler-file {scheduler_file}: no such file")
    try:
        quiet.require_engine()
        certificates = tls.given(tls_ca, tls_cert, tls_key)
        tls.check(certificates, address=scheduler or "", scheduler_file=str(scheduler_file or ""))
        found = places(count=count, cores_each=cores_per_worker, device=device, on=on)
    except ValueError as error:
        raise fail(str(error)) from None
    reach = Reach(
        scheduler=scheduler or "",
        scheduler_file=str(scheduler_file.resolve()) if scheduler_file else "",
        host=host,
        certificates=certificates,
    )
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with Crew(found, reach) as crew:
        if telling.json:
            say_json({"working_on": [str(place) for place in found]})
        elif not telling.quiet:
            say(f"working on {', '.join(str(place) for place in found)}")
        while not ended.wait(TICK_SECONDS):
            if not crew.look():
                raise fail(f"no scheduler at {scheduler or scheduler_file}", 1)
    raise typer.Exit(INTERRUPTED)
