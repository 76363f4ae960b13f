"""Commands as a user gives them: in a process of their own, or in this one where nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from attnbench.app import make_app
from tests.support import shorter
from tests.support.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def attnbench(*arguments: str, cwd: Path = ROOT, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *python, "-m", "attnbench", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=280,
    )


def in_process(*arguments: str | Path):
    """Call a command in this process: importing what it needs again takes a second."""
    return CliRunner().invoke(make_app(), [str(argument) for argument in arguments], prog_name="attnbench")


def briefly(*arguments: str | Path):
    """Call a command in this process, with lessons and turns that take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        shorter.shorten(patch.setattr)
        return in_process(*arguments)
