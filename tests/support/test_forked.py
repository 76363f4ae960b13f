"""A forked worker is a process as any other: it answers the same, is ours, dies as it is killed, and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from harness.policy import FAST
from harness.protocol.messages import Describe, Failed, Start
from harness.runner import process as runner_process
from harness.runner.process import WorkerProcess
from tests.support.forked import ForkedProcess, Sources
from tests.support.places import ROOT

START = Start(device="cpu", policy=FAST, threads=1)


@pytest.fixture
def begin():
    """Start workers that are ended with the test."""
    started = []

    def one(**options):
        started.append(WorkerProcess(START, interpreter=sys.executable, stderr_lines=5, **options))
        return started[-1]

    yield one
    for worker in started:
        worker.close()


def test_it_answers_as_a_started_one_and_is_a_child_with_a_session_of_its_own(begin, request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    worker = begin()
    answers = [worker.ask(Describe(), seconds=60)]
    assert isinstance(worker._process, ForkedProcess)
    process = psutil.Process(worker._process.pid)
    assert process.ppid() == os.getpid()
    assert os.getsid(process.pid) == process.pid
    assert process.cwd() == str(tmp_path)
    assert process.pid in {child.pid for child in psutil.Process().children()}
    request.getfixturevalue("started_workers")
    started = begin()
    answers.append(started.ask(Describe(), seconds=60))
    assert isinstance(started._process, subprocess.Popen)
    assert answers[0] == answers[1]


def test_one_that_is_killed_says_by_what_and_one_that_is_left_ends_in_order(begin):
    worker = begin()
    os.kill(worker._process.pid, signal.SIGSEGV)
    died = worker.ask(Describe(), seconds=60)
    assert isinstance(died, Failed)
    assert "killed by SIGSEGV" in died.reason
    left = WorkerProcess(START, interpreter=sys.executable, stderr_lines=5)
    left.ask(Describe(), seconds=60)
    left._channel.close()
    left._stderr.close()
    assert left._process.wait(timeout=30) == 0
    with pytest.raises(ChildProcessError):
        os.waitpid(left._process.pid, 0)


def test_it_dies_with_the_process_that_wanted_it():
    code = (
        "import os, signal, sys\n"
        "from harness.policy import FAST\n"
        "from harness.protocol.messages import Start\n"
        "from tests.support import forked\n"
        "from harness.runner.process import WorkerProcess\n"
        "forked.fork_workers(setattr, forked.Sources())\n"
        "start = Start(device='cpu', policy=FAST, threads=1)\n"
        "worker = WorkerProcess(start, interpreter=sys.executable, stderr_lines=5)\n"
        "assert isinstance(worker._process, forked.ForkedProcess), worker\n"
        "worker.ready\n"
        "print(worker._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    until = time.monotonic() + 10
    while psutil.pid_exists(int(done.stdout)) and psutil.Process(int(done.stdout)).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_interpreter_of_somebody_else_and_one_that_can_be_no_source_are_started_as_ever(tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    for only in (sys.executable, None):
        monkeypatch.setattr(runner_process.subprocess, "Popen", Sources(only=only).start)
        worker = WorkerProcess(START, interpreter=str(program), stderr_lines=5)
        assert "exited with code 3" in worker.ready.reason
        worker.close()
