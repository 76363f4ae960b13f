"""A command reads each file of a run directory once: after measuring, what was written is parsed a single time."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from attnbench.app import make_app
from harness.results.run import read_run
from tests.support.places import STORED

SMOKE = STORED / "smoke"
FILES = ("plan.json", "journal.jsonl", "environment.json", "summary.json", "verdicts.json")
# Hooks of the interpreter stay for good, so there is one, which counts while a test holds a counter.
_counters: list[Counter] = []


def _on_event(event, arguments):
    if event != "open" or not _counters:
        return
    path, _, flags = arguments
    is_read = isinstance(path, str | Path) and flags & os.O_ACCMODE == os.O_RDONLY
    # An empty file was not measured into yet: a run that begins looks whether there is something to go on from.
    if is_read and Path(path).name in FILES and os.path.exists(path) and os.stat(path).st_size:  # noqa: PTH110, PTH116
        _counters[-1][Path(path).name] += 1


sys.addaudithook(_on_event)


@pytest.fixture
def reads():
    """Count how often each file of a run directory is opened for reading."""
    _counters.append(Counter())
    yield _counters[-1]
    _counters.pop()


@pytest.fixture
def stored(tmp_path):
    return Path(shutil.copytree(SMOKE, tmp_path / "run"))


def invoke(*words):
    found = CliRunner().invoke(make_app(), [str(word) for word in words], prog_name="attnbench")
    assert found.exit_code == 0, found.output
    return found


def test_the_counter_sees_every_reading(reads):
    read_run(SMOKE)
    (SMOKE / "journal.jsonl").read_bytes()
    assert reads == {**dict.fromkeys(FILES, 1), "journal.jsonl": 2}


def test_a_run_reads_what_it_measured_once(reads, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    directory = tmp_path / "run"
    sizes = ("-a", "n=16,32", "--impl", "batched", "--fast")
    found = CliRunner().invoke(make_app(), ["run", "smoke", *sizes, "-o", str(directory)], prog_name="attnbench")
    # On a busy machine a time may be implausible beside the ceilings, and the exit code say so.
    assert found.exit_code in {0, 3}, found.output
    assert (directory / "report.html").is_file()
    assert reads == dict.fromkeys(FILES, 1)


@pytest.mark.parametrize(
    "words", [("report",), ("report", "--format", "md"), ("export", "--to", "csv")], ids=["page", "markdown", "export"]
)
def test_showing_a_run_reads_it_once(stored, reads, words):
    invoke(words[0], stored, *words[1:])
    assert reads == dict.fromkeys(FILES, 1)
