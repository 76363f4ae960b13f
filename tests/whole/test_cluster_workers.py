"""A sweep over a scheduler that stands apart, as docs/cluster.md tells: two workers on a core, one has other code."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from harness.cluster.store import Store
from harness.results import journal
from harness.results.run import read_run
from harness.runner.plan import code_fingerprint
from tests.support.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.cluster
ASKED = (
    "smoke",
    "--fast",
    # What a busy machine has no time for would be left out, and the sweep would not be 0.
    "--time-budget",
    "170s",
    "--impl",
    "batched",
    "--impl",
    "einsum",
    "-a",
    "n=16",
    "--dtype",
    "float32",
    "--dtype",
    "float64",
)
# The line of an implementation that the other tree has in another way.
CHANGED, OURS, THEIRS = (
    "impls/attention/einsum.py",
    "if scale is None else scale)",
    "if scale is None else 1.0 * scale)",
)


@dataclass(frozen=True)
class Swept:
    """What a sweep left: its directory, its events, the ordinary run beside it, and who was left at its end."""

    directory: Path
    alone: Path
    events: list[dict[str, Any]]
    left: list[psutil.Process]

    def told(self, event):
        return [line for line in self.events if line["event"] == event]


def start(*arguments, log, tree=ROOT, core=None):
    """Start a module of Python from a tree, on one core if it is named; what it says on standard error is its log."""
    pin = None if core is None else lambda: os.sched_setaffinity(0, {core})
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *map(str, arguments)],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree)},
            start_new_session=True,
            preexec_fn=pin,  # noqa: PLW1509  # no thread runs here that could hold a lock
            stdout=subprocess.DEVNULL,
            stderr=file,
        )
    process.log = log
    return process


def wait_until(is_so, *, seconds=180.0, started=()):
    """Wait for what takes seconds on an idle machine, and for as long as what must bring it about lives."""
    deadline = time.monotonic() + seconds
    while not is_so():
        ended = [process for process in started if process.poll() is not None]
        assert not ended, f"{[process.args for process in ended]} ended: {said(ended)}"
        assert time.monotonic() < deadline, f"it does not happen in {seconds} s: {said(started)}"
        time.sleep(0.1)


def said(processes):
    """Return what processes wrote on standard error."""
    return "; ".join(process.log.read_text(errors="replace") for process in processes)


def other_tree(folder):
    """Copy our sources with one line of an implementation changed."""
    for name in ("attnbench", "harness", "impls", "scenarios", "reports"):
        # With what was compiled, as compiling it again takes seconds; but for files that are being written.
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    changed = folder / CHANGED
    text = changed.read_text(encoding="utf-8")
    assert text.count(OURS) == 1
    changed.write_text(text.replace(OURS, THEIRS), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Sweep a plan of two curves on the first core, with an ordinary run of it on the second meanwhile."""
    pytest.importorskip("distributed")
    _, *others = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    if not others:
        pytest.skip("the ordinary run needs a core of its own")
    folder = tmp_path_factory.mktemp("swept")
    file, out, alone = folder / "sched.json", folder / "out", folder / "alone"
    other = other_tree(folder / "tree")
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        scheduler = start(
            "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
            "--scheduler-file", file, log=folder / "scheduler.log",
        )  # fmt: skip
        stack.callback(end, scheduler)
        wait_until(file.exists, started=[scheduler])
        lent = ("attnbench", "worker", "--scheduler-file", file, "--device", "cpu", "--count", "1")
        workers = [
            start(*lent, "--cores-per-worker", "1", tree=tree, log=folder / f"worker-{number}.log")
            for number, tree in enumerate((ROOT, ROOT, other))
        ]
        for worker in workers:
            stack.callback(end, worker)
        wait_for_workers(file, workers)
        # Not before workers are there, which start on both cores.
        beside = start(
            "attnbench", "run", *ASKED, "--device", "cpu", "-o", alone, core=others[0], log=folder / "alone.log"
        )
        stack.callback(end, beside)
        asked = ("run", *ASKED, "--cluster", file, "--on", "cpu", "-o", out)
        sweep = start("attnbench", *asked, log=folder / "sweep.log")
        stack.callback(end, sweep)
        # Both chunks have the time budget, one after the other, and each its start.
        assert sweep.wait(timeout=450) == 0, said([sweep])
        assert beside.wait(timeout=200) == 0, said([beside])
        started = [child for one in (scheduler, *workers) for child in family(one)]
        for one in (*workers, scheduler):
            one.send_signal(signal.SIGTERM)
        left = psutil.wait_procs(started, timeout=20.0)[1]
        events = [json.loads(line) for line in said([sweep]).splitlines() if line.startswith("{")]
        yield Swept(out, alone, events, left)


def family(process):
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def end(process):
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for_workers(file, workers):
    from harness.cluster.engine import DaskEngine

    engine = DaskEngine(scheduler_file=str(file))
    with contextlib.closing(engine):
        wait_until(
            lambda: sum(seen.announced is not None for seen in engine.workers().values()) >= len(workers),
            started=workers,
        )


def test_the_union_is_the_plan_and_each_case_is_there_once(swept):
    run = read_run(swept.directory)
    wanted = sorted(planned.case.id for planned in run.plan.cases)
    assert wanted == sorted(planned.case.id for planned in read_run(swept.alone).plan.cases)
    assert sorted(record.case.id for record in run.records) == wanted
    parts = Store(swept.directory).parts()
    assert len(parts) == 2
    guests = {read_run(part).plan.guest for part in parts}
    times = Counter(case for part in parts for case in journal.read(part).records)
    assert {case for case, count in times.items() if count > 1} <= guests


def test_the_machine_of_each_chunk_is_that_of_an_ordinary_run_on_one_core(swept):
    machines = [read_run(path).environment for path in (*Store(swept.directory).parts(), swept.alone)]
    assert len({machine.id for machine in machines}) == 1
    assert {machine.stable["threads"] for machine in machines} == {1}


def test_of_two_workers_on_one_core_the_second_waits_for_the_first(swept):
    held = swept.told("lost")
    assert held
    assert all("is held by another run" in line["reason"] for line in held)
    assert len({line["process"] for line in swept.told("joined")}) == 2


def test_a_worker_of_other_code_is_refused_by_name_and_gets_nothing(swept):
    [refused] = {(line["worker"], line["reason"]) for line in swept.told("refused")}
    ours = code_fingerprint()["code"]
    assert refused[1].startswith("its code is ")
    assert refused[1].endswith(f", ours {ours}")


def test_workers_that_are_told_to_end_leave_no_process(swept):
    assert swept.left == []
