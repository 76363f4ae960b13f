"""Runs end to end through the command line: whatever fails costs its own cases, and nothing measured is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import psutil
import pytest

from harness.records import Round
from harness.results import journal
from harness.results.run import read_run
from harness.runner import state
from harness.runner.selection import TimeLimits
from tests.support.commands import attnbench, in_process
from tests.support.places import PLANTED, ROOT
from tests.support.runs import ok_record, write_run

if TYPE_CHECKING:
    from pathlib import Path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "attnbench", *arguments]


@pytest.fixture(autouse=True, scope="module")
def own_lock(tmp_path_factory):
    """Hold devices in a folder of these tests, so that a run beside them is not in their way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("locks")))
        yield


def statuses(directory: Path) -> dict[tuple[str, int], str]:
    return {
        (record.case.implementation, record.case.point["n"]): record.status for record in read_run(directory).records
    }


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """A run of planted failures, n = 16 (where each behaves) and n = 32 (where it fails)."""
    directory = tmp_path_factory.mktemp("failures") / "run"
    done = in_process(
        "run",
        "smoke",
        "--fast",
        "--impl-file",
        str(PLANTED / "failures.py"),
        "--impl-file",
        str(PLANTED / "kills_on_import.py"),
        "--impl",
        "planted-*",
        "-a",
        "n=16,32",
        "--timeout",
        "5",
        # Enough for a busy machine, which would leave cases out.
        "--time-budget",
        "250",
        "-o",
        directory,
    )
    return done, directory


def test_each_planted_failure_costs_exactly_its_own_cases(failures):
    done, directory = failures
    found = statuses(directory)
    assert found == {
        ("planted-segfault", 16): "ok",
        ("planted-segfault", 32): "crashed",
        ("planted-hang", 16): "ok",
        ("planted-hang", 32): "timeout",
        ("planted-hog", 16): "ok",
        ("planted-hog", 32): "oom",
        ("planted-raise", 16): "ok",
        ("planted-raise", 32): "crashed",
        ("planted-exit", 16): "ok",
        ("planted-exit", 32): "crashed",
        ("planted-wrong", 16): "disagreed",
        ("planted-wrong", 32): "disagreed",
        ("planted-none", 16): "disagreed",
        ("planted-none", 32): "disagreed",
        ("planted-pretender", 16): "fallback",
        ("planted-pretender", 32): "fallback",
        ("planted-cache", 16): "ok",
        ("planted-cache", 32): "disagreed",
        ("planted-clock", 16): "ok",
        ("planted-clock", 32): "invalid",
        ("planted-late", 16): "disagreed",
        ("planted-late", 32): "disagreed",
        ("planted-right", 16): "ok",
        ("planted-right", 32): "ok",
    }
    assert done.exit_code == 3, done.output
    assert "Traceback" not in done.output


def test_each_failure_says_why(failures):
    _, directory = failures
    reasons = {
        record.case.implementation: record.reason
        for record in read_run(directory).records
        if record.case.point["n"] == 32
    }
    assert "SIGSEGV" in reasons["planted-segfault"]
    assert "within 5 s" in reasons["planted-hang"]
    assert "memory" in reasons["planted-hog"]
    assert "ValueError: a planted <b>mistake</b>" in reasons["planted-raise"]
    assert "failures.py:" in reasons["planted-raise"]
    assert "exited with code 7" in reasons["planted-exit"]
    assert "out" in reasons["planted-wrong"]
    assert "NoneType" in reasons["planted-none"]
    assert "a_kernel_that_never_runs" in reasons["planted-pretender"]
    assert "after timing" in reasons["planted-late"]


def test_no_number_is_kept_for_a_failure(failures):
    _, directory = failures
    assert all((record.time is None) == (record.status != "ok") for record in read_run(directory).records)


def worker_processes(parent: int) -> list[psutil.Process]:
    return psutil.Process(parent).children(recursive=True)


# A run that lasts long enough to be killed in every stage of it, and no longer.
RUN = ("run", "smoke", "--fast", "--impl", "batched", "--impl", "sdpa-*", "-a", "n=16,32", "--threads", "1")


def start(directory: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(*RUN, "-o", str(directory), *more),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        # A shell's background jobs ignore SIGINT, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def wait_for(condition, *, seconds: float = 90.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def lines(directory: Path) -> int:
    path = directory / journal.JOURNAL
    return len(path.read_bytes().splitlines()) if path.exists() else 0


def closing_records(directory: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in (directory / journal.JOURNAL).read_text().splitlines():
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if content["kind"] == "record":
            found[content["record"]["case"]["id"]] += 1
    return found


@pytest.mark.slow
def test_killed_at_random_moments_a_run_is_resumed_with_each_case_exactly_once(tmp_path):
    directory = tmp_path / "run"
    chance = random.Random(5)
    process = start(directory)
    for _ in range(4):
        seen = wait_for(lambda: lines(directory)) + chance.randint(1, 12)
        wait_for(lambda at=seen, running=process: lines(directory) >= at or running.poll() is not None)
        if process.poll() is not None:
            break
        workers = worker_processes(process.pid)
        victim = chance.choice([process.pid, *(worker.pid for worker in workers)])
        os.kill(victim, signal.SIGKILL)
        if victim != process.pid:
            continue
        process.wait(timeout=30)
        wait_for(lambda left=workers: not any(alive(worker) for worker in left))
        process = start(directory, "--resume")
    assert process.wait(timeout=200) in {0, 4}
    plan = journal.read_plan(directory)
    assert closing_records(directory) == Counter({case.case.id: 1 for case in plan.cases})


def test_a_case_that_killed_runs_left_out_of_rounds_gets_none_twice(tmp_path):
    write_run(tmp_path, [ok_record("batched"), ok_record("einsum")], sweeps=("sequence-length",), complete=False)
    first, second = (case.case.id for case in journal.read_plan(tmp_path).cases)
    with journal.Journal(tmp_path) as log:
        for identity, index in [(first, 0), (second, 0), (second, 1), (first, 2), (second, 2), (first, 3)]:
            log.append_round(identity, Round(index=index, started=0.0, calls_per_sample=1, samples=[1.0]))
    # Both have three visits, and rounds 0 to 3 were begun.
    plan = journal.read_plan(tmp_path)
    begun = state.begin(plan, None, tmp_path, supervisor=None, progress=None, limits=TimeLimits(), started="")
    assert begun.rounds_done == 4


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_killed_parent_leaves_no_worker_behind(tmp_path):
    process = start(tmp_path / "run")
    workers = wait_for(lambda: [w for w in worker_processes(process.pid) if "harness.worker" in w.cmdline()])
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    wait_for(lambda: not any(alive(worker) for worker in workers), seconds=10)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A run with another begun beside it, interrupted once it has rounds: its folder, its code, what the other said."""
    directory = tmp_path_factory.mktemp("interrupted") / "run"
    process = start(directory)
    try:
        wait_for(lambda: lines(directory))
        beside = in_process("run", "smoke", "--fast", "--device", "cpu", "-o", str(directory.with_name("second")))
        wait_for(lambda: b'"kind":"round"' in (directory / journal.JOURNAL).read_bytes())
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=60)
    return directory, code, beside


def test_a_second_run_on_a_held_device_is_refused(interrupted):
    *_, beside = interrupted
    assert beside.exit_code == 2
    assert "device cpu is held by another run" in beside.stderr


def test_ctrl_c_ends_with_a_report_of_what_there_is_and_can_be_resumed(interrupted):
    directory, code, _ = interrupted
    assert code == 130
    assert (directory / journal.REPORT).is_file()
    assert any(record.time and record.time.stop_reason == "interrupted" for record in read_run(directory).records)
    resumed = in_process(*RUN, "-o", directory, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert set(closing_records(directory).values()) == {1}


@pytest.mark.usefixtures("worker_here")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "sequence-lenght"], "no scenario 'sequence-lenght'; did you mean 'sequence-length'?"),
        (["run", "smoke", "--impl", "flsh"], "no implementation 'flsh'"),
        (["run", "smoke", "--dtype", "float31"], "no dtype 'float31'; did you mean 'float32'?"),
        (["run", "smoke", "-a", "n"], "axis 'n' must read n=512,1024"),
        (["run", "smoke", "-a", "m=3"], "no axis 'm'"),
        (["run", "smoke", "--device", "tpu"], "no device 'tpu'"),
        (["run", "smoke", "-k", "nothing-like-this"], "nothing is left to run"),
        (["run", "smoke", "-k", "flash and"], "a word is missing"),
        (["run", "smoke", "--precision", "a lot"], "precision 'a lot' must read 1% or 0.01"),
        (["run", "smoke", "--shard", "3/2"], "shard '3/2' must read I/N"),
        (["run", "smoke", "--fast", "--rigorous"], "exclude each other"),
        (["run", "smoke", "--resume"], "--resume needs the run directory"),
        (["run", "smoke", "-o", "/proc/nowhere"], "can't be made"),
        (["run", "/no/such/file.toml"], "No such file or directory"),
    ],
)
def test_a_mistake_is_answered_in_one_line(arguments, said):
    device = [] if "--device" in arguments else ["--device", "cpu"]
    done = in_process(*arguments, *device)
    assert done.exit_code == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_a_run_directory_of_a_newer_schema_is_refused(tmp_path):
    (tmp_path / "plan.json").write_text('{"schema": "99.0.0"}')
    (tmp_path / "journal.jsonl").write_text("")
    done = in_process("run", "smoke", "--device", "cpu", "-o", str(tmp_path), "--resume")
    assert done.exit_code == 2
    assert "has schema 99.0.0" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_directory_that_holds_a_run_is_not_overwritten(tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    done = in_process("run", "smoke", "--device", "cpu", "-o", str(tmp_path))
    assert done.exit_code == 2
    assert "holds a run already" in done.stderr


@pytest.mark.usefixtures("worker_here")
def test_what_would_not_fit_is_skipped_with_its_arithmetic():
    done = in_process("plan", "sequence-length", "-a", "n=262144", "--impl", "batched", "--device", "cpu", "--json")
    assert done.exit_code == 2, done.stderr
    assert "no case can run here" in done.stderr
    (case,) = json.loads(done.stdout)["cases"]
    assert case["skip"] == "predicted_oom"
    assert "score buffers" in case["reason"]
    assert "free" in case["reason"]


@pytest.mark.gpu
def test_short_calls_on_a_gpu_have_a_time_inside_a_graph_or_a_reason(tmp_path):
    done = attnbench("run", "smoke", "--fast", "--device", "cuda", "--impl", "sdpa-*", "-o", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    timed = [record for record in read_run(tmp_path / "run").records if record.status == "ok"]
    short = [record for record in timed if record.case.direction == "forward" and record.time.median < 2e-5]
    assert all(record.launch is not None for record in short)
    for launched in [record.launch for record in timed if record.launch]:
        assert (launched.graph is None) == bool(launched.reason)
        assert bool(launched.samples) == (launched.graph is not None)
    for used in [record.memory for record in timed]:
        assert (used.device_process is None) == ("device_process" in used.reasons)
