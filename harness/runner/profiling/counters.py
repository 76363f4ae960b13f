"""Hardware counters of a case's kernels: asked of a process under Nsight Compute, or why there are none."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from harness.profiled import Counter
from harness.protocol.messages import ProfileCase, Start, encode
from harness.runner.process import ROOT

if TYPE_CHECKING:
    from harness.records import Case
    from harness.runner.supervisor import WorkerSettings

# Nsight Compute replays the call once for each group of counters.
COUNTING_SECONDS = 300.0
EXTRA = 'pip install "attnbench[ncu]"'
_COUNTERS = TypeAdapter(list[Counter])


def missing(device: str) -> str:
    """Say in a line why counters can't be read on a device here; nothing if they can."""
    if not device.startswith("cuda"):
        return f"hardware counters are read on CUDA devices alone, not on {device}"
    if importlib.util.find_spec("nsight") is None:
        return f"hardware counters need nsight-python: {EXTRA}"
    if shutil.which("ncu") is None:
        return "hardware counters need Nsight Compute: no ncu is on the PATH"
    return ""


def collect(settings: WorkerSettings, case: Case, *, seed: int) -> tuple[list[Counter], str]:
    """Return the counters of one call of a case, or none and the line that says why."""
    if why := missing(settings.device):
        return [], why
    return ask(settings, case, seed=seed)


def ask(settings: WorkerSettings, case: Case, *, seed: int) -> tuple[list[Counter], str]:
    """Count a case in a process of its own; return what it counted, or its last words."""
    start = Start(
        device=settings.device,
        policy=settings.policy,
        threads=settings.threads,
        impl_files=list(settings.impl_files),
        skip={},
    )
    wanted = ProfileCase(case=case, seed=seed, seconds=1.0, trace="")
    known = os.environ.get("PYTHONPATH", "")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), known]).rstrip(os.pathsep)}
    with tempfile.TemporaryDirectory(prefix="attnbench-counters-") as folder:
        asked = Path(folder) / "asked.json"
        asked.write_text(json.dumps({"start": encode(start), "case": encode(wanted)}), encoding="utf-8")
        command = [sys.executable, "-P", "-m", "harness.worker.counters", str(asked)]
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False, timeout=COUNTING_SECONDS
            )
        except subprocess.TimeoutExpired:
            return [], f"hardware counters: Nsight Compute took over {COUNTING_SECONDS:.0f} s"
        answer = Path(folder) / "counters.json"
        if done.returncode != 0 or not answer.is_file():
            said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            return [], f"hardware counters: {said[-1].strip() if said else f'exit code {done.returncode}'}"
        return _COUNTERS.validate_json(answer.read_bytes()), ""
