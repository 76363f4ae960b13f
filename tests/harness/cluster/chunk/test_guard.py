"""A guarded process ends when the pipe it lives by is closed, with what it started."""

from __future__ import annotations

import subprocess
import sys

import psutil

from tests.support.places import ROOT

CODE = """
import subprocess, sys, time
from harness.cluster.chunk import guard
guard.end_with_parent(guard.kill_all)
SLEEP = "import time; print('there', flush=True); time.sleep(60)"
subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
time.sleep(60)
"""


WORD = """
import threading
from harness.cluster.chunk import guard
told = threading.Event()
guard.end_with_parent(guard.kill_all, on_word=told.set)
print("there", flush=True)
told.wait()
print("told", flush=True)
threading.Event().wait()
"""


def test_a_word_is_heard_and_ends_nothing():
    process = subprocess.Popen(
        [sys.executable, "-c", WORD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True
    )
    with process:
        assert process.stdout.readline() == b"there\n"
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"told\n"
        assert process.poll() is None
        process.stdin.close()
        process.wait(timeout=10.0)


def test_the_closing_of_the_pipe_ends_a_process_and_its_children():
    process = subprocess.Popen(
        [sys.executable, "-c", CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True
    )
    with process:
        assert process.stdout.readline() == b"there\n"
        (child,) = psutil.Process(process.pid).children()
        process.stdin.close()
        process.wait(timeout=10.0)
        _, alive = psutil.wait_procs([child], timeout=10.0)
        assert alive == []
