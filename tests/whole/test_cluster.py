"""A sweep on two workers of a core each, end to end: ended twice on its way, and nothing is lost, doubled or left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest

from harness.cluster.store import Store
from harness.results.journal import read
from harness.results.run import read_run
from tests.support.places import ROOT

pytestmark = pytest.mark.cluster
KERNEL = """
import torch
from attnbench import register

@register(problem="attention", name="mine", devices=("cpu",))
def mine(q, k, v, *, causal=False, scale=None, valid_lens=None):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale)
"""


@pytest.fixture
def two_cores(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two workers need a core each")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def start(directory, *options):
    return subprocess.Popen(
        [sys.executable, "-m", "attnbench", "run", "smoke", "-o", str(directory), "--workers", "2", *options],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end_at_work(process, directory, *, number):
    """Send a signal once chunks are under way, and return who is left five seconds after its end."""
    deadline = time.monotonic() + 120.0
    while process.poll() is None and time.monotonic() < deadline:
        started = psutil.Process(process.pid).children(recursive=True)
        with contextlib.suppress(psutil.Error):
            at_work = any("harness.worker" in one.cmdline() for one in started)
            if at_work and (directory / "fleet.json").exists():
                break
        time.sleep(0.1)
    process.send_signal(number)
    process.communicate(timeout=60)
    return psutil.wait_procs(started, timeout=5.0)[1]


def test_a_sweep_that_is_ended_twice_goes_on_and_has_every_case_once(two_cores, tmp_path):
    out = tmp_path / "out"
    # The workers have the kernel by the orders alone: its file is gone when the sweep goes on.
    kernel = tmp_path / "mine.py"
    kernel.write_text(KERNEL, encoding="utf-8")
    what = ["--fast", "--impl-file", str(kernel), "-a", "n=16", "--dtype", "float32", "--dtype", "float64"]
    for name in ("batched", "einsum", "mine"):
        what += ["--impl", name]
    begun = start(out, "--cores-per-worker", "1", *what)
    assert end_at_work(begun, out, number=signal.SIGINT) == []
    assert begun.returncode == 130
    kernel.unlink()
    store = Store(out)
    again = start(out, "--resume", "--cores-per-worker", "1")
    assert end_at_work(again, out, number=signal.SIGKILL) == []
    last = start(out, "--resume", "--cores-per-worker", "1")
    _, errors = last.communicate(timeout=200)
    assert last.returncode == 0, errors
    run = read_run(out)
    wanted = {planned.case.id for planned in run.plan.cases}
    assert len(wanted) == 6
    assert {record.case.id for record in run.records} == wanted
    guests = {read_run(part).plan.guest for part in store.parts()}
    times = Counter(case for part in store.parts() for case in read(part).records)
    assert {case for case, count in times.items() if count > 1} <= guests
    assert (out / "report.html").is_file()
