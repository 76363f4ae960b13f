"""Two environments side by side: on another machine times don't compare; of other software one may want to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import JsonValue

from harness.records import DataModel

if TYPE_CHECKING:
    from harness.comparing.snapshot import Snapshot

# Facts that a change of code or an update changes on one machine; times across them compare, and they are named.
# Every other stable fact is the machine or how it is set, threads and allocators among them.
SOFTWARE = frozenset(
    {
        *("python", "attnbench", "torch", "numpy", "triton", "mkl", "onednn", "cuda", "cudnn", "gpu_driver", "kernel"),
        *("sdpa_backends", "sdpa_flash"),
    }
)


class Difference(DataModel):
    """A fact of the environment that is not the same on both sides; None if a side lacks it."""

    fact: str
    base: JsonValue = None
    new: JsonValue = None


def differences(base: Snapshot, new: Snapshot) -> tuple[list[Difference], list[Difference]]:
    """Return how the machines differ, and how the software does. A side without an environment differs in nothing."""
    if not base.stable or not new.stable:
        return [], []
    found = [
        Difference(fact=name, base=base.stable.get(name), new=new.stable.get(name))
        for name in sorted({*base.stable, *new.stable})
        if base.stable.get(name) != new.stable.get(name)
    ]
    return [one for one in found if one.fact not in SOFTWARE], [one for one in found if one.fact in SOFTWARE]
