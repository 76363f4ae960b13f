"""Programs of this folder are found where another package is called `tests`, by hand from the checkout and by nox."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

PROGRAM = "tests.evidence.command_reference"


@pytest.fixture
def foreign(tmp_path):
    """A folder of installed packages that has one called `tests`, as some distributions do."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "__init__.py").write_text("raise SystemExit('the wrong tests')\n")
    return tmp_path


def run(*words, cwd, places):
    environment = {**os.environ, "PYTHONPATH": str(places)}
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_ours_are_found_from_the_checkout(foreign):
    done = run(sys.executable, "-m", PROGRAM, "--help", cwd=ROOT, places=foreign)
    assert (done.returncode, "usage: " in done.stdout) == (0, True), done.stderr


def test_nox_finds_ours_from_any_folder_even_where_the_working_directory_is_not_searched(foreign):
    pytest.importorskip("nox")
    environment = {**os.environ, "PYTHONPATH": str(foreign), "PYTHONSAFEPATH": "1"}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "nox", "-f", str(ROOT / "noxfile.py"), "--no-venv", "-s", "fuzz", "--", "--help"]
    done = subprocess.run(command, cwd=foreign, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "usage: " in done.stdout) == (0, True), done.stdout + done.stderr


def test_every_session_starts_them_in_this_one_way():
    text = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    assert re.findall(r"session\.run\([^)]*tests\.evidence\.[^)]*", text) == [
        'session.run("python", "-m", f"tests.evidence.{program}", *arguments, env={"PYTHONPATH": places}'
    ]
