"""The lines for other profilers make the same calls, bare, and name the range around each."""

from __future__ import annotations

import shlex
from pathlib import Path

from harness.instruments.parts import CALL
from harness.runner.profiling import others

AGAIN = ["attnbench", "profile", "smoke", "--impl", "it's mine"]


def test_on_a_gpu_they_are_nsight_systems_and_nsight_compute():
    systems, compute = map(shlex.split, others.commands(AGAIN, device="cuda:0", folder=Path("runs/one")))
    assert (systems[0], compute[0]) == ("nsys", "ncu")
    assert f"{CALL}/" == others.RANGE
    assert compute[compute.index("--nvtx-include") + 1] == others.RANGE
    for words in (systems, compute):
        assert words[-6:] == [*AGAIN, "--bare"]


def test_on_a_cpu_they_are_perf():
    for line in others.commands(AGAIN, device="cpu", folder=Path("runs/one")):
        words = shlex.split(line)
        assert words[0] == "perf"
        assert words[words.index("--") + 1 :] == [*AGAIN, "--bare"]
