"""Without a home, a folder for temporary files or a working directory, commands go on or say what they lack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import NamedTuple

import pytest

from attnbench.console import USAGE
from harness.policy import DEFAULT
from harness.protocol.messages import Describe
from harness.runner import process
from harness.runner.supervisor import Supervisor, WorkerError, WorkerSettings
from reports.terminal.progress import Lines, Reporter
from tests.support import runs, shorter
from tests.support.places import ROOT

SMALL = ["--device", "cpu", "--impl", "batched"]
# What each command is called with to do its work.
LIGHT = {
    "verify": ["verify", "--csv", "{folder}/table.csv", "--exponent", "2"],
    "markdown": ["report", "{folder}/run", "--format", "md"],
    "export": ["export", "{folder}/run", "--to", "json", "-o", "{folder}/cases.json"],
}
# These start workers or draw, and a run, a doctor and a lesson take longer: they are called once, without any of it.
HEAVY = {
    "check": ["check", "--quick", *SMALL, "--dtype", "float32", "-k", "scale 1"],
    "report": ["report", "{folder}/run", "-o", "{folder}/page.html"],
    "run": ["run", "smoke", "--fast", *SMALL, "-a", "n=16", "-o", "{folder}/new"],
    "doctor": ["doctor", "--device", "cpu"],
}
# What they ask of a worker is among what a run asks: one in their own process answers.
ANSWERED_HERE = {
    "list": ["list", "--device", "cpu"],
    "plan": ["plan", "smoke", *SMALL, "-a", "n=16"],
    "lesson": ["lesson", "--device", "cpu", "-o", "{folder}/lesson"],
}
# An empty value is none.
LACKING = {"HOME": "/proc/none", "TMPDIR": "/proc/none", "XDG_CACHE_HOME": "", "XDG_RUNTIME_DIR": ""}
# A process that first does what `before` says, then calls commands in turn, each with output and exit code in files.
PROGRAM = """
import json, os, sys, traceback
sys.path.insert(0, {root!r})
{before}
from attnbench import main
for name, words, line in json.loads(sys.argv[1]):
    for place, stream in ((1, sys.stdout), (2, sys.stderr)):
        stream.flush()
        os.dup2(os.open(f"{folder}/{{name}}.{{place}}", os.O_WRONLY | os.O_CREAT), place)
    sys.argv = ["attnbench", *words]
    try:
        exec(line)
        main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = -1
    with open(f"{folder}/{{name}}.code", "w") as file:
        file.write(str(code))
"""
HERE = (
    "from types import SimpleNamespace; from tests.support import worker_here; "
    "worker_here.take_the_place_of_processes(SimpleNamespace(setattr=setattr))"
)
LINES = {"list": HERE, "plan": HERE, "lesson": f"{HERE}; {shorter.LINE}"}


def call(commands, folder, *, before="", **environment):
    """Call commands in turn in a process of their own, that first does what `before` says; return what each did."""
    runs.write_run(folder / "run", [runs.ok_record(n=64)])
    (folder / "table.csv").write_text("n,seconds\n" + "".join(f"{n},{n * n}\n" for n in (64, 128, 256, 512)))
    told = folder / "told"
    told.mkdir()
    calls = [
        (name, [argument.format(folder=folder) for argument in words], LINES.get(name, ""))
        for name, words in commands.items()
    ]
    known = {name: value for name, value in {**os.environ, **environment}.items() if value}
    program = PROGRAM.format(root=str(ROOT), before=before, folder=told)
    command = [sys.executable, "-c", program, json.dumps(calls)]
    whole = subprocess.run(command, capture_output=True, text=True, check=False, env=known, cwd=folder, timeout=280)
    assert whole.returncode == 0, whole.stderr
    return {name: Done(*((told / f"{name}.{part}").read_text() for part in ("code", "1", "2"))) for name in commands}


class Done(NamedTuple):
    """How a command ended, and what it told."""

    code: str
    stdout: str
    stderr: str


def went_well(done):
    assert done.code == "0", done.stderr
    assert done.stdout
    assert "Traceback" not in done.stderr
    return True


def leaving(folder):
    """Return the lines that make a folder, go there and remove it."""
    gone = folder / "gone"
    gone.mkdir()
    return f"os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})"


@pytest.fixture(scope="module")
def without_a_directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("left")
    return call(LIGHT, folder, before=leaving(folder))


@pytest.fixture(scope="module")
def without_a_home(tmp_path_factory):
    return call(LIGHT, tmp_path_factory.mktemp("homeless"), **LACKING)


@pytest.fixture(scope="module")
def without_anything(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lacking")
    return call(HEAVY | ANSWERED_HERE, folder, before=leaving(folder), **LACKING)


@pytest.mark.parametrize("name", LIGHT)
def test_a_working_directory_that_is_gone_stops_nothing(name, without_a_directory):
    assert went_well(without_a_directory[name])


@pytest.mark.parametrize("name", LIGHT)
def test_no_home_and_no_folder_for_temporary_files_stop_nothing(name, without_a_home):
    assert went_well(without_a_home[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY | ANSWERED_HERE)
def test_all_that_is_missing_at_once_stops_nothing(name, without_anything):
    assert went_well(without_anything[name])


def test_a_new_run_in_a_folder_that_is_gone_is_refused_in_a_line(tmp_path):
    done = call({"run": ["run", "smoke", *SMALL, "-o", "here"]}, tmp_path, before=leaving(tmp_path))["run"]
    assert (done.code, done.stderr) == (str(USAGE), "attnbench: here can't be made: No such file or directory\n")


def test_a_worker_that_can_have_no_file_for_its_output_is_a_line(monkeypatch):
    def refuse():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(process.tempfile, "TemporaryFile", refuse)
    settings = WorkerSettings(device="cpu", policy=DEFAULT)
    with (
        Supervisor(settings, progress=Reporter(Lines())) as supervisor,
        pytest.raises(WorkerError, match=r"^no worker can be started: No usable temporary directory found$"),
    ):
        supervisor.require(Describe())
