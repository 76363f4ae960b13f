"""A crew keeps a process at each place, and ends them all."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness.cluster import crew as module
from harness.cluster.crew import OWNER, Crew, Reach, own_folder
from harness.cluster.places import Place
from tests.support.places import ROOT

# A process with a folder of its own, which it names, until it is killed.
KEEPER = """
import sys
from harness.cluster.crew import PREFIX, own_folder

with own_folder(PREFIX) as folder:
    (folder / "worker-1").mkdir()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def module_that(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(module, "WORKER", "a_worker")
    return (tmp_path / "a_worker.py").write_text


def test_a_lost_worker_is_started_again_and_all_end_with_the_crew(module_that):
    module_that("import time; time.sleep(60)")
    with Crew([Place("cpu", "cpu")] * 2, Reach(scheduler="tcp://127.0.0.1:1")) as crew:
        before = [member.process for member in crew.members]
        before[0].kill()
        before[0].wait()
        assert crew.look()
        after = [member.process for member in crew.members]
        assert after[0].pid != before[0].pid
        assert after[1].pid == before[1].pid
        (crew.folder / "left").touch()
    assert all(process.poll() is not None for process in after)
    # What a killed worker wrote goes with the crew.
    assert not crew.folder.exists()


def test_who_finds_no_scheduler_is_not_started_again(module_that):
    module_that("raise SystemExit(1)")
    with Crew([Place("cpu", "cpu")], Reach(scheduler="tcp://127.0.0.1:1")) as crew:
        crew.members[0].process.wait(timeout=20.0)
        assert not crew.look()


def test_what_a_killed_process_left_goes_with_the_next_one_and_what_lives_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # Of an older version, or of one that makes its folder at this moment.
    (tmp_path / f"{module.PREFIX}unowned").mkdir()
    keepers = [
        subprocess.Popen(
            [sys.executable, "-c", KEEPER],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    killed, living = (Path(keeper.stdout.readline().strip()) for keeper in keepers)
    keepers[0].send_signal(signal.SIGKILL)
    keepers[0].communicate()
    assert (killed / "worker-1").is_dir()
    with Crew([], Reach()) as crew:
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
            [living.name, crew.folder.name, f"{module.PREFIX}unowned"]
        )
    keepers[1].communicate()
    assert keepers[1].returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"{module.PREFIX}unowned"]


def test_a_folder_of_its_own_goes_where_its_process_fails_too(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with contextlib.suppress(ZeroDivisionError), own_folder("attnbench-tls-") as folder:
        assert (folder / OWNER).is_file()
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []
