"""What to paste into a shell for other profilers, whose process makes the same calls without PyTorch's around them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# The range around each call, as ncu filters it: a trailing slash means one that is pushed and popped.
RANGE = "attnbench_call/"


def commands(again: Sequence[str], *, device: str, folder: Path) -> list[str]:
    """Return the lines that run Nsight Systems and Nsight Compute (CUDA), or perf, on the same calls.

    `again` are the words of the command that profiles the case.
    """
    bare = [*again, "--bare"]
    if device.startswith("cuda"):
        systems = ["nsys", "profile", "--trace=cuda,nvtx,osrt", "--cuda-graph-trace=node", "-o", str(folder / "nsys")]
        compute = ["ncu", "--target-processes", "all", "--nvtx", "--nvtx-include", RANGE, "--set", "full"]
        return [shlex.join([*systems, *bare]), shlex.join([*compute, "-o", str(folder / "ncu"), *bare])]
    record = ["perf", "record", "-g", "-o", str(folder / "perf.data"), "--"]
    return [shlex.join(["perf", "stat", "-d", "--", *bare]), shlex.join([*record, *bare])]
