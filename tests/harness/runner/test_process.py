"""A worker's process is asked with a deadline; how it died is told with its last words, and none is left behind."""

from __future__ import annotations

import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from harness.policy import DEFAULT
from harness.protocol.messages import Describe, Described, Failed, Start, Started
from harness.runner import process as runner_process
from harness.runner.process import WorkerProcess, oom_kills

# It speaks the protocol without importing ours, which takes a second.
WORKER = """#!{python} -SE
import json, os, signal, sys, time
reader, writer = open(int(sys.argv[-3]), "rb", 0), int(sys.argv[-2])
raw = lambda data: os.write(writer, data)
say = lambda **message: raw(json.dumps(message).encode() + b"\\n")
described = lambda name="worker": say(kind="described", device_name=name, implementations=[], threads=1)
started = lambda: say(kind="started", protocol={protocol}, free=2**30)
{body}
for line in reader:
    started() if json.loads(line)["do"] == "start" else answer()
"""
START = Start(device="cpu", policy=DEFAULT)


@pytest.fixture
def worker(tmp_path):
    """Return a function that starts a process which answers by some code; it is closed at the end."""
    running = []

    def make(body, *, stderr_lines=20, **options):
        interpreter = tmp_path / "interpreter"
        code = WORKER.format(python=sys.executable, protocol=START.protocol, body=textwrap.dedent(body))
        interpreter.write_text(code)
        interpreter.chmod(0o755)
        running.append(WorkerProcess(START, interpreter=str(interpreter), stderr_lines=stderr_lines, **options))
        return running[-1]

    yield make
    for one in running:
        one.close()


def test_a_process_answers_what_it_is_asked(worker):
    process = worker("answer = described")
    assert isinstance(process.ready, Started)
    assert process.ready.free == 2**30
    for _ in range(2):
        assert isinstance(process.ask(Describe(), seconds=10.0), Described)


def test_a_process_that_was_started_ahead_has_torch_before_it_is_told_what_it_starts_with():
    process = WorkerProcess(None, interpreter=sys.executable, variables={"PLANTED": "1"})
    try:
        maps = Path(f"/proc/{process._process.pid}/maps")
        while "libtorch" not in maps.read_text():
            time.sleep(0.05)
        process.begin(START, stderr_lines=5, hear=dict)
        assert isinstance(process.ready, Started)
        assert isinstance(process.ask(Describe(), seconds=60.0), Described)
    finally:
        process.close()


def test_variables_are_added_to_the_environment_and_our_packages_can_be_imported(worker):
    process = worker(
        "def answer(): described(os.environ['PLANTED'] + ' ' + os.environ['PYTHONPATH'].split(os.pathsep)[0])",
        variables={"PLANTED": "flag"},
    )
    assert process.ask(Describe(), seconds=10.0).device_name == f"flag {runner_process.ROOT}"
    assert (runner_process.ROOT / "harness" / "worker").is_dir()


def test_a_process_that_hangs_is_killed_at_the_deadline_and_its_step_named(worker):
    process = worker("""
        def answer():
            say(kind="step", step="warm-up")
            time.sleep(600)
    """)
    pid = process._process.pid
    lost = process.ask(Describe(), seconds=0.6)
    assert lost == Failed(status="timeout", reason="no answer to 'warm-up' within 1 s", worker_gone=True)
    assert not psutil.pid_exists(pid)


def test_a_step_does_not_move_the_deadline(worker):
    process = worker("""
        def answer():
            while True:
                say(kind="step", step="again")
                time.sleep(0.02)
    """)
    begun = time.monotonic()
    assert process.ask(Describe(), seconds=0.3).status == "timeout"
    assert time.monotonic() - begun < 5.0


def test_a_process_over_its_cap_is_killed_and_the_bytes_are_told(worker):
    process = worker("def answer(): time.sleep(600)")
    process.resident_cap = 1
    assert not process.has_ended
    lost = process.ask(Describe(), seconds=60.0)
    assert (lost.status, lost.worker_gone) == ("oom", True)
    assert lost.reason.endswith("over the cap of 1")


@pytest.mark.parametrize(
    ("end", "how"),
    [
        ("os._exit(7)", "exited with code 7"),
        ("os._exit(0)", "exited with code 0"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGFPE)", "killed by SIGFPE"),
    ],
)
def test_how_a_process_died_is_told(worker, end, how):
    process = worker(f"def answer(): {end}")
    assert process.ask(Describe(), seconds=10.0) == Failed(
        status="crashed", reason=f"worker {how} in 'start'", worker_gone=True
    )
    # What is asked of a dead process is answered alike, and nobody waits.
    assert process.ask(Describe(), seconds=10.0).worker_gone
    assert process.has_ended


@pytest.mark.parametrize(("after", "status"), [(3, "crashed"), (4, "oom"), (None, "crashed")])
def test_a_killed_process_ran_out_of_memory_where_the_kernel_counts_one_more_such_kill(
    worker, tmp_path, monkeypatch, after, status
):
    counts = tmp_path / "vmstat"
    monkeypatch.setattr(runner_process, "KILLS", counts)
    if after is not None:
        counts.write_text("nr_free_pages 7\noom_kill 3\n")
    process = worker("def answer(): os.kill(os.getpid(), signal.SIGKILL)")
    if after is not None:
        counts.write_text(f"nr_free_pages 7\noom_kill {after}\n")
    lost = process.ask(Describe(), seconds=10.0)
    assert lost.status == status
    assert ("out-of-memory killer" in lost.reason) == (status == "oom")


def test_the_last_words_are_those_of_the_request_that_ended_it_and_few(worker):
    process = worker(
        """
        def answer(times=[]):
            times.append(1)
            if len(times) == 1:
                print("an earlier request", flush=True)
                return described()
            for number in range(10):
                print(f"line {number}", file=sys.stderr, flush=True)
            print("y" * 1000, flush=True)
            os._exit(1)
        """,
        stderr_lines=3,
    )
    process.ask(Describe(), seconds=10.0)
    reason = process.ask(Describe(), seconds=10.0).reason
    assert reason == f"worker exited with code 1 in 'start': line 8 | line 9 | {'y' * runner_process.LINE_AT_MOST}"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("raw(b'Segfault imminent\\n')", "the other side sent no message: b'Segfault imminent'"),
        ("raw(b'[]\\n')", "the other side sent no message"),
        ("say(kind='nonsense')", "no message 'nonsense'"),
        ("started()", "Started is no answer to Describe"),
    ],
)
def test_what_is_no_answer_is_a_crash_and_ends_the_process(worker, sent, said):
    process = worker(f"def answer(): {sent}")
    lost = process.ask(Describe(), seconds=10.0)
    assert (lost.status, lost.worker_gone) == ("crashed", True)
    assert said in lost.reason
    assert process._process.poll() is not None


def test_a_failure_after_which_the_worker_is_gone_ends_the_process(worker):
    process = worker("def answer(): say(kind='failed', status='crashed', reason='lost', worker_gone=True)")
    assert process.ask(Describe(), seconds=10.0).reason == "lost"
    assert process._process.poll() is not None


def test_what_a_process_started_ends_with_it(worker):
    process = worker("""
        import subprocess
        def answer(): described(str(subprocess.Popen(["sleep", "600"]).pid))
    """)
    child = int(process.ask(Describe(), seconds=10.0).device_name)
    assert psutil.pid_exists(child)
    process.kill()
    for _ in range(100):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    pytest.fail("the child lives on")


def test_a_process_that_can_not_be_killed_is_stuck_and_left_alone(worker, monkeypatch):
    process = worker("answer = described")
    signals = []
    monkeypatch.setattr(runner_process, "KILL_SECONDS", 0.05)
    with monkeypatch.context() as patch:
        patch.setattr(runner_process.os, "killpg", lambda *sent: signals.append(sent))
        process.kill()
        process.kill()
    assert process.is_stuck
    assert len(signals) == 1
    process._process.kill()
    process._process.wait()


def test_kills_for_want_of_memory_are_counted_where_the_kernel_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(runner_process, "KILLS", tmp_path / "vmstat")
    assert oom_kills() is None
    (tmp_path / "vmstat").write_text("nr_free_pages 5\n")
    assert oom_kills() is None
    (tmp_path / "vmstat").write_text("oom_kill_other 9\noom_kill 12\n")
    assert oom_kills() == 12


def test_what_a_worker_says_before_it_is_asked_anything_is_told(tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho \"No module named 'harness'\" >&2\nexit 1\n")
    program.chmod(0o755)
    channel = runner_process.Channel

    def late(**descriptors):
        # The worker is gone before the first request.
        time.sleep(0.5)
        return channel(**descriptors)

    monkeypatch.setattr(runner_process, "Channel", late)
    process = WorkerProcess(START, interpreter=str(program), stderr_lines=5)
    try:
        assert "No module named 'harness'" in process.ready.reason
    finally:
        process.close()
