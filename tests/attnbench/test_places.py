"""Without a home, a folder for temporary files or a working directory, commands go on or say what they lack."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from attnbench.console import USAGE
from harness.policy import DEFAULT
from harness.protocol.messages import Describe
from harness.runner import process
from harness.runner.supervisor import Supervisor, WorkerError, WorkerSettings
from reports.terminal.progress import Lines, Reporter
from tests.support import runs, shorter
from tests.support.places import ROOT

SLOW = [pytest.mark.slow]
SMALL = ["--device", "cpu", "--impl", "batched"]
# What each command is called with to do its work.
LIGHT = [
    pytest.param(["verify", "--csv", "{folder}/table.csv", "--exponent", "2"], id="verify"),
    pytest.param(["report", "{folder}/run", "--format", "md"], id="markdown"),
    pytest.param(["export", "{folder}/run", "--to", "json", "-o", "{folder}/cases.json"], id="export"),
]
# These start workers or draw, and a run, a doctor and a lesson take longer: they are called once, without any of it.
HEAVY = [
    pytest.param(["list", "--device", "cpu"], id="list"),
    pytest.param(["plan", "smoke", *SMALL, "-a", "n=16"], id="plan"),
    pytest.param(["check", "--quick", *SMALL, "--dtype", "float32", "-k", "scale 1"], id="check"),
    pytest.param(["report", "{folder}/run", "-o", "{folder}/page.html"], id="report"),
    pytest.param(["run", "smoke", "--fast", *SMALL, "-a", "n=16", "-o", "{folder}/new"], id="run", marks=SLOW),
    pytest.param(["doctor", "--device", "cpu"], id="doctor", marks=SLOW),
    pytest.param(["lesson", "--device", "cpu", "-o", "{folder}/lesson"], id="lesson", marks=SLOW),
]
# An empty value is none.
LACKING = {"HOME": "/proc/none", "TMPDIR": "/proc/none", "XDG_CACHE_HOME": "", "XDG_RUNTIME_DIR": ""}


def call(arguments, folder, *, before="", **environment):
    """Call a command in a process of its own, that first does what `before` says."""
    runs.write_run(folder / "run", [runs.ok_record(n=64)])
    (folder / "table.csv").write_text("n,seconds\n" + "".join(f"{n},{n * n}\n" for n in (64, 128, 256, 512)))
    words = [argument.format(folder=folder) for argument in arguments]
    known = {name: value for name, value in {**os.environ, **environment}.items() if value}
    short = shorter.LINE if words[0] == "lesson" else ""
    start = f"import os, sys\nsys.path.insert(0, {str(ROOT)!r})\n"
    program = f"{start}{short}\n{before}\nfrom attnbench import main\nmain()\n"
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in known.items() if value is not None},
        cwd=folder,
        timeout=280,
    )


def went_well(done):
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "Traceback" not in done.stderr
    return True


def leaving(folder):
    """Return the lines that make a folder, go there and remove it."""
    gone = folder / "gone"
    gone.mkdir()
    return f"os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})"


@pytest.mark.parametrize("arguments", LIGHT)
def test_a_working_directory_that_is_gone_stops_nothing(arguments, tmp_path):
    assert went_well(call(arguments, tmp_path, before=leaving(tmp_path)))


@pytest.mark.parametrize("arguments", LIGHT)
def test_no_home_and_no_folder_for_temporary_files_stop_nothing(arguments, tmp_path):
    assert went_well(call(arguments, tmp_path, **LACKING))


@pytest.mark.parametrize("arguments", HEAVY)
def test_all_that_is_missing_at_once_stops_nothing(arguments, tmp_path):
    assert went_well(call(arguments, tmp_path, before=leaving(tmp_path), **LACKING))


def test_a_new_run_in_a_folder_that_is_gone_is_refused_in_a_line(tmp_path):
    done = call(["run", "smoke", *SMALL, "-o", "here"], tmp_path, before=leaving(tmp_path))
    assert (done.returncode, done.stderr) == (USAGE, "attnbench: here can't be made: No such file or directory\n")


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
