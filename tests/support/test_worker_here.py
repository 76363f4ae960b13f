"""A worker in this process answers a supervisor as one of its own does."""

from __future__ import annotations

import inspect

import pytest

from harness.policy import FAST
from harness.protocol.messages import Describe
from harness.runner.process import WorkerProcess
from harness.runner.supervisor import Supervisor, WorkerSettings
from impls import registry
from reports.terminal.progress import Lines, Reporter
from tests.support.worker_here import WorkerHere

FILE = """
from impls.registry import register


@register(problem="attention", name="{name}", devices=("cpu",))
def attend(q, k, v, **_):
    return v
"""


def described(*files):
    settings = WorkerSettings(device="cpu", policy=FAST, impl_files=files)
    with Supervisor(settings, progress=Reporter(Lines())) as supervisor:
        return supervisor.require(Describe())


def test_it_describes_what_a_process_of_its_own_describes(request):
    elsewhere = described()
    request.getfixturevalue("worker_here")
    assert described() == elsewhere


@pytest.mark.usefixtures("worker_here")
def test_what_its_files_register_goes_with_it(tmp_path):
    file = tmp_path / "mine.py"
    for name in ("first", "second"):
        file.write_text(FILE.format(name=name))
        assert {entry.name for entry in described(str(file)).implementations} >= {name, "batched"}
        assert name not in registry.names("attention")


def test_it_has_what_a_supervisor_calls():
    public = {name for name in vars(WorkerProcess) if not name.startswith("_")} - {"kill"}
    assert public <= set(vars(WorkerHere))
    assert set(inspect.signature(WorkerHere.ask).parameters) == set(inspect.signature(WorkerProcess.ask).parameters)
