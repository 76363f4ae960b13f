"""`attnbench list`: what there is to measure, and why something is unavailable."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from attnbench.console import fail, listener, say, say_json
from attnbench.options import Device, ImplFile, Telling, grouped
from impls.discovery import ENTRY_POINT

if TYPE_CHECKING:
    from harness.protocol.messages import DescribedImplementation


@grouped
def list_command(*, impl_file: ImplFile = None, device: Device = None, telling: Telling) -> None:
    """List implementations, scenarios and devices, and why something is unavailable.

    Example: attnbench list --impl-file my_kernel.py
    """
    from attnbench.reading import make_worker_settings
    from harness.machine import devices
    from harness.protocol.messages import Describe
    from harness.runner.supervisor import Supervisor, WorkerError
    from impls.variants import default_name, options_of
    from scenarios import catalog

    try:
        settings = make_worker_settings(device, impl_file)
        with Supervisor(settings, progress=listener(telling)) as supervisor:
            described = supervisor.require(Describe())
        present = devices.present()
    except (devices.DeviceError, WorkerError) as error:
        raise fail(str(error)) from None
    scenarios = [{"name": s.name, "problem": s.problem, "question": s.question} for s in catalog.CATALOG]
    if telling.json:
        listed = described.model_dump(exclude={"kind"})
        usable = [one.name for one in present if not one.reason]
        found = {"device": settings.device, "devices": usable, "found_devices": [asdict(one) for one in present]}
        say_json({**found, "scenarios": scenarios, **listed})
        return
    say(f"Implementations on {settings.device} ({described.device_name}):")
    variants = [entry.name for entry in described.implementations if default_name(entry.name) != entry.name]
    for entry in described.implementations:
        if entry.name in variants:
            continue
        say(f"  {entry.problem:<10} {entry.name:<16} {_state(entry)}")
        if options := options_of(entry.name, variants):
            say(f"  {'':<10} {'':<16} -a {' -a '.join(options)}")
    say("Scenarios (* in the default set):")
    for scenario in scenarios:
        mark = "*" if scenario["name"] in catalog.DEFAULT else " "
        say(f"  {mark} {scenario['name']:<18} {scenario['question']}")
    say("Devices:")
    for one in present:
        say(f"  {one}")


def _state(entry: DescribedImplementation) -> str:
    """Say what an implementation supports, or why it is unavailable; then when it runs, and that it never did."""
    where = f" ({entry.source})" if entry.source.startswith(ENTRY_POINT) else ""
    state = " ".join(entry.supports) if entry.available else f"unavailable: {entry.reason}{where}"
    marks = ["by name only"] * entry.on_request + ["never run by us"] * entry.untried
    return f"{state} ({', '.join(marks)})" if marks else state
