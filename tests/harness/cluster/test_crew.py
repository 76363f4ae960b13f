"""A crew keeps a process at each place, and ends them all."""

from __future__ import annotations

import pytest

from harness.cluster import crew as module
from harness.cluster.crew import Crew, Reach
from harness.cluster.places import Place


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
