"""How a worker is told to keep the memory that it freed, so that no call pays for another's pages.

glibc maps blocks above a threshold (32 MiB at most) anew at each request and unmaps them when freed, unless a hole
in its heap is large enough: whether a call with a large score matrix touches its pages for the first time, a fault
every 4 KiB, depends on what else the process did before. Told to keep its memory it hands the same pages out again
(mallopt(3): M_MMAP_MAX, M_TRIM_THRESHOLD), which treats all implementations alike.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Set before a process starts: no block is mapped by itself, and no freed memory goes back.
KEEPING = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**62), "MALLOC_TOP_PAD_": str(2**20)}


def why_not(device: str, variables: Mapping[str, str]) -> str:
    """Return why a worker can't be told to keep its memory, empty if it can; `variables` are the environment's."""
    if device != "cpu":
        return "a device's allocator keeps a pool"
    if platform.libc_ver()[0] != "glibc":
        return "the C library is not glibc"
    changed = [name for name in variables if name.startswith("MALLOC_") or name in {"GLIBC_TUNABLES", "LD_PRELOAD"}]
    return f"{', '.join(changed)} chose the allocator already" if changed else ""
