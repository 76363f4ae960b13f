"""The second line of the set-up: `nox -s dev` fills .venv with the checkout and what tests, types and style need."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib

import pytest

from tests.support.places import ROOT

# Stands for the interpreter in .venv: it keeps what it was asked, and installs nothing.
RECORDER = '#!/bin/sh\nprintf "%s\\n" "$@" > "$(dirname "$0")/asked"\n'


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """What the interpreter in .venv is asked by `nox -s dev -- --no-deps`, in a copy of what that reads."""
    pytest.importorskip("nox")
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("noxfile.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(RECORDER)
    python.chmod(0o755)
    command = [sys.executable, "-m", "nox", "-s", "dev", "--", "--no-deps"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return (python.parent / "asked").read_text().splitlines()


def test_the_checkout_is_installed_at_pinned_versions_and_can_be_edited(asked):
    assert asked[:7] == ["-m", "pip", "install", "-c", "constraints.txt", "-e", "."]
    assert asked[-1] == "--no-deps"


def test_what_tests_types_and_style_need_is_installed(asked):
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    assert {*groups["test"], *groups["lint"], *groups["types"]} <= set(asked)


def test_the_pages_for_who_contributes_say_these_lines():
    for page in ("CONTRIBUTING.md", "AGENTS.md"):
        assert ".venv/bin/nox -s dev" in (ROOT / page).read_text(encoding="utf-8")
