"""Who the sides are: interpreters that are there, implementations that one side may lack, and a worker too old."""

from __future__ import annotations

import os
import sys

import pytest

from harness.policy import DEFAULT
from harness.protocol.messages import VERSION, Described, DescribedImplementation
from harness.runner.pairing.sides import (
    PROCESSES,
    Asked,
    NoSideError,
    find_interpreter,
    names_of,
    patterns_of,
    policy_for_pairs,
    supervisor_of,
    told,
)
from harness.runner.selection import Request, Selection, SelectionError
from tests.support.scripted import Listener, ScriptedSupervisor
from tests.support.steps import FIRST, LOST, ready

REQUEST = Request(scenarios=(), selection=Selection(), device="cpu", policy=DEFAULT)
# A worker of another version: it answers whatever it is asked with the protocol that it speaks.
OLD = """#!{python} -SE
import json, os, sys
for line in open(int(sys.argv[-3]), "rb", 0):
    os.write(int(sys.argv[-2]), json.dumps({{"kind": "started", "protocol": 1, "free": 1}}).encode() + b"\\n")
"""
# An interpreter without attnbench, and one that says where it looks for packages.
BARE = "#!{python} -SE\nimport sys\nsys.exit('No module named harness')\n"
LOOKING = "#!{python} -SE\nimport os, sys\nsys.exit('|'.join(sorted(os.environ)))\n"


def planted(tmp_path, text):
    program = tmp_path / "python"
    program.write_text(text.format(python=sys.executable))
    program.chmod(0o755)
    return Asked("base", str(program))


def refused(side):
    with supervisor_of(REQUEST, side, progress=Listener()) as supervisor, pytest.raises(NoSideError) as error:
        names_of(side, supervisor)
    return str(error.value)


def test_a_worker_too_old_is_refused_in_a_line(tmp_path):
    side = planted(tmp_path, OLD)
    said = refused(side)
    assert said == (
        f"BASE ({side.interpreter}) has an attnbench of another version: "
        f"the worker speaks protocol 1, this parent {VERSION}"
    )


def test_an_interpreter_without_attnbench_is_told_to_get_it(tmp_path):
    side = planted(tmp_path, BARE)
    assert refused(side) == f"BASE ({side.interpreter}) has no attnbench: install it in that environment"


def test_nothing_leads_a_side_to_the_packages_of_this_program(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path))
    monkeypatch.setenv("ANOTHER", "stays")
    said = refused(planted(tmp_path, LOOKING))
    assert "ANOTHER" in said
    assert "PYTHONPATH" not in said


def test_an_interpreter_keeps_the_link_that_makes_it_an_environment(tmp_path, monkeypatch):
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    assert find_interpreter("./python") == str(link)
    with pytest.raises(SelectionError, match="no Python that can be run"):
        find_interpreter(str(tmp_path / "missing"))


def test_an_implementation_may_be_new_but_each_side_needs_one():
    known = {"base": {"attention": ["batched"]}, "new": {"attention": ["batched", "mine"]}}
    assert patterns_of(["batched", "mine"], known) == {"base": ("batched",), "new": ("batched", "mine")}
    assert patterns_of([], known) == {"base": (), "new": ()}
    with pytest.raises(SelectionError, match="BASE has no implementation mine"):
        patterns_of(["mine"], known)
    with pytest.raises(SelectionError, match="no implementation 'mime'; did you mean 'mine'"):
        patterns_of(["mime"], known)


def test_names_are_those_that_the_side_describes():
    entry = DescribedImplementation(problem="attention", name="mine", available=True, source="mine.py")
    described = Described(device_name="CPU", implementations=[entry], threads=1)
    supervisor = ScriptedSupervisor({})
    supervisor.require = lambda _request: described
    assert names_of(Asked("new", sys.executable), supervisor) == {"attention": ["mine"]}


def test_a_pair_has_more_processes_and_half_the_memory_and_no_load_but_timing():
    policy = policy_for_pairs(DEFAULT, preset="default")
    assert policy.timing.processes == PROCESSES["default"]
    assert policy.memory.share == DEFAULT.memory.share / 2
    assert (policy.telemetry.points_cpu, policy.allocation.rounds, policy.run.extras_share_cuda) == (0, 0, 0.0)
    assert policy_for_pairs(DEFAULT, preset="fast").timing.processes == PROCESSES["fast"]


def test_what_fails_is_told_with_its_side():
    heard = Listener()
    progress = told(heard, Asked("new", sys.executable))
    record = ready(FIRST).refused(FIRST.case, LOST)
    progress.failed(record, cost=1.0)
    progress.unavailable("mine.py", "no such module")
    progress.judging()
    assert heard.events[0][1][0].reason == f"in NEW: {record.reason}"
    assert heard.events[1][1] == ("NEW: mine.py", "no such module")
    assert heard.names() == ["failed", "unavailable", "judging"]
