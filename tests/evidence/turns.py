"""How often `attnbench ab` calls copies different, and finds a kernel that is a tenth slower, on this machine.

`python -m tests.evidence.turns [--times N] [--seconds S]` measures one interpreter against itself N times: with one
kernel on both sides, and with one that does a tenth more work in NEW. Eight cases at n >= 512, S seconds each time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

KERNEL = """
import torch
from attnbench import register


@register(problem="attention", name="mine", devices=("cpu", "cuda"), dtypes=("float32",))
def mine(q, k, v, *, causal=False, scale=None, valid_lens=None):
    # A tenth more work: the same rows once more, and thrown away.
    for _ in range({more}):
        rows = q[..., : max(1, q.shape[-2] // 10), :]
        (rows @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v
    return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v
"""
SIZES = "n=512,576,640,704,768,832,896,1024"


def outcomes(folder: Path, *, more: int, seconds: int, seed: int) -> Counter[str]:
    """Measure a kernel against itself, or against one with `more` work, and count the outcomes of its cases."""
    files = [folder / "base.py", folder / "new.py"]
    for file, work in zip(files, (0, more), strict=True):
        file.write_text(KERNEL.format(more=work), encoding="utf-8")
    arguments = ["sequence-length", "--impl", "mine", "-a", SIZES, "--dtype", "float32", "--time-budget", str(seconds)]
    arguments += [option for file in files for option in ("--impl-file", str(file))]
    place = folder / f"{more}-{seed}"
    done = subprocess.run(
        [sys.executable, "-m", "attnbench", "ab", sys.executable, sys.executable, *arguments, "--json", "--quiet",
         "--seed", str(seed), "-o", str(place)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return Counter(case["outcome"] for case in json.loads(done.stdout)["cases"])


def rate(found: Counter[str], *names: str) -> str:
    """Write the share of these outcomes."""
    return f"{sum(found[name] for name in names)} of {found.total()}"


def main() -> None:
    """Measure and print the rates."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=5)
    options.add_argument("--seconds", type=int, default=90)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for more, words in ((0, "copies called different"), (1, "a tenth slower, found")):
            found: Counter[str] = Counter()
            for seed in range(asked.times):
                found += outcomes(Path(name), more=more, seconds=asked.seconds, seed=seed)
            wanted = ("slower",) if more else ("slower", "faster")
            print(f"{words}: {rate(found, *wanted)}; called faster: {rate(found, 'faster')} ({dict(found)})")  # noqa: T201


if __name__ == "__main__":
    main()
