"""The places of a host where workers measure: each of its GPUs, or sets of its cores."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.cluster.orders import class_of
from harness.machine import devices, processor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.machine.devices import Device


class PlaceError(ValueError):
    """This host has no such places; the message says what it has."""


@dataclass(frozen=True)
class Place:
    """A device for one worker, as torch names it there, and its class `on`; the cores to keep to, all if none.

    `variables` are what makes a process see this device alone.
    """

    on: str
    device: str
    uuid: str = ""
    model: str = ""
    cores: tuple[int, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [self.model, self.uuid, f"cores {processor.core_ranges(self.cores)}" if self.cores else ""]
        known = ", ".join(part for part in parts if part)
        return f"{self.on} ({known})" if known else self.on


def places(
    *, count: int | None = None, cores_each: int | None = None, device: str | None = None, on: str | None = None
) -> list[Place]:
    """Return places of this host, apart from each other: every GPU that works, or cores where there is none.

    `count` is how many are wanted, all if None; `cores_each` how many cores each gets; `device` is `cpu` or `cuda` to
    choose between them; `on` names their class. Raises PlaceError, DeviceError.
    """
    chosen = devices.choose(device)
    if chosen.startswith("cuda"):
        return _gpus(devices.present(), count=count, cores_each=cores_each, on=on)
    if chosen != "cpu":
        if (count or 1) > 1 or cores_each:
            raise PlaceError(f"there is one device {chosen!r} here, for one worker on any core")
        return [Place(on=on or chosen, device=chosen)]
    sets = _core_sets(count=count, cores_each=cores_each)
    return [Place(on=on or "cpu", device="cpu", cores=cores) for cores in sets]


def _gpus(present: Sequence[Device], *, count: int | None, cores_each: int | None, on: str | None) -> list[Place]:
    usable = [device for device in present if device.name.startswith("cuda") and not device.reason]
    if count is not None and count > len(usable):
        raise PlaceError(
            f"{count} workers want a GPU each, and {len(usable)} work here; --device cpu measures on cores"
        )
    usable = usable[:count]
    sets = _core_sets(count=len(usable), cores_each=cores_each) if cores_each else [()] * len(usable)
    return [
        Place(
            on=on or class_of(gpu.model),
            # The only one that its process sees.
            device="cuda:0",
            uuid=gpu.uuid,
            model=gpu.model,
            cores=cores,
            variables={"CUDA_VISIBLE_DEVICES": visible(gpu, os.environ.get("CUDA_VISIBLE_DEVICES", ""))},
        )
        for gpu, cores in zip(usable, sets, strict=True)
    ]


def visible(gpu: Device, named: str) -> str:
    """Return what CUDA_VISIBLE_DEVICES must be for this GPU alone, given what it is: a MIG instance keeps its name."""
    known = [word for word in named.split(",") if word]
    if gpu.uuid:
        return next((word for word in known if gpu.uuid in word), f"GPU-{gpu.uuid}")
    number = int(gpu.name.partition(":")[2])
    return known[number] if number < len(known) else str(number)


def _core_sets(*, count: int | None, cores_each: int | None) -> list[tuple[int, ...]]:
    """Cut the allowed cores into sets apart from each other; one empty set, which means all, if nothing is asked."""
    if count is None and cores_each is None:
        return [()]
    if not hasattr(os, "sched_setaffinity"):
        if (count or 1) == 1 and cores_each is None:
            return [()]
        raise PlaceError(f"{sys.platform} can't keep workers on cores of their own: --workers 1")
    allowed = processor.allowed_core_numbers()
    each = cores_each or max(1, len(allowed) // (count or 1))
    many = count or len(allowed) // each
    if many * each > len(allowed) or many == 0:
        wanted = max(1, many)
        raise PlaceError(f"{wanted} workers of {each} cores want {wanted * each}; {len(allowed)} may be used here")
    return [tuple(allowed[number * each : (number + 1) * each]) for number in range(many)]
