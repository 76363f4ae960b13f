"""The recipes that measure base and head in turn run without their service, from a slow-down to nothing to judge."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest

from tests.support import shorter
from tests.support.places import ROOT
from tests.support.workflows import blocks, listed, shell_steps

WORKFLOW = (ROOT / ".github" / "workflows" / "gpu.yml").read_text()
GPU = shell_steps(WORKFLOW)
PAGE = (ROOT / "docs" / "ci.md").read_text()
# What `attnbench` starts: few pairs of processes are enough for kernels that differ by far.
SHORT = shlex.quote(shorter.PROGRAM)
# An environment is its interpreter: what is installed here, or nothing where the test says so.
PYTHON = f"""#!/usr/bin/env bash
if [ "$1 $2" != "-m venv" ]; then exec {shlex.quote(sys.executable)} "$@"; fi
mkdir -p "$3/bin"
printf '#!/bin/sh\nexec %s "$@"\n' {shlex.quote(sys.executable)} > "$3/bin/python"
printf '#!/bin/sh\nexec %s -c "%s" "$@"\n' {shlex.quote(sys.executable)} {SHORT} > "$3/bin/attnbench"
printf '#!/bin/sh\necho "$PWD: $*" >> "$INSTALLED"\n' > "$3/bin/pip"
if [ -n "$EMPTY" ]; then printf '#!/bin/sh\necho "No module named harness" >&2; exit 1\n' > "$3/bin/python"; fi
chmod +x "$3"/bin/*
"""
KERNEL = """
import torch
from attnbench import register


@register(problem="attention", name="mine", devices=("cpu",), dtypes=("float32",))
def mine(q, k, v, *, causal=False, scale=None, valid_lens=None):
    for _ in range({more}):
        torch.ones(300, 300) @ torch.ones(300, 300)
    return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v
"""
# So that a measurement takes seconds.
SMALL = "smoke --fast --impl mine -a n=16 --dtype float32 --device cpu --threads 1"


def git(folder, *arguments):
    known = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *known, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder, *, more):
    """Commit a kernel that does other work as often as `more` says."""
    (folder / "my_kernel.py").write_text(KERNEL.format(more=more))
    (folder / "constraints.txt").write_text("")
    git(folder, "add", "my_kernel.py", "constraints.txt")
    git(folder, "commit", "--quiet", "-m", "A kernel")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A repository of a kernel that became slower by far, and a `python3` that makes light environments."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "python3").write_text(PYTHON)
    (tools / "python3").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    for name, file in {"GITHUB_STEP_SUMMARY": "summary.md", "INSTALLED": "installed", "RUNNER_TEMP": "temp"}.items():
        monkeypatch.setenv(name, str(tmp_path / file))
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "--quiet")
    commit(repository, more=0)
    commit(repository, more=20)
    return repository


def shell(script, folder, *arguments, **variables):
    """Run a step as the service does."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script, "step", *arguments],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def environments(place, *, base, **variables):
    done = shell(GPU["Two environments"], place, BASE=base, **variables)
    assert done.returncode == 0, done.stderr


def turns(place, tmp_path, *, nothing=""):
    """Run the step that measures, its kernel the file of each checkout."""
    files = "".join(f" --impl-file {tmp_path / 'temp' / side / 'my_kernel.py'}" for side in ("base", "head"))
    return shell(GPU["Turns"], place, ARGUMENTS=SMALL + files, FAIL_ON="slower:5% disagreed", NOTHING=nothing)


@pytest.mark.slow
def test_the_job_fails_where_head_is_slower_than_its_parent(place, tmp_path):
    environments(place, base="HEAD^1")
    installed = (tmp_path / "installed").read_text().splitlines()
    assert [line.split(" install ")[1].rpartition("/")[2] for line in installed] == ["base", "head"]
    done = turns(place, tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    said = (tmp_path / "summary.md").read_text()
    assert "slower:5%: FAILED in 1 of 1 case" in said
    assert "disagreed" in said
    kept = {path.name for path in (place / "runs" / "turns").iterdir()}
    assert kept >= {"base", "new", "comparison.json", "report.html"}


def test_nothing_to_judge_is_said_and_fails_only_where_that_is_wanted(place, tmp_path):
    environments(place, base="HEAD", EMPTY="yes")
    done = turns(place, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "::warning title=attnbench ab judged nothing::" in done.stdout
    assert "nothing to judge: BASE" in (tmp_path / "summary.md").read_text()
    assert turns(place, tmp_path, nothing="fails").returncode == 5


def test_base_and_head_are_one_job_and_the_base_is_the_parent_of_the_merge():
    assert WORKFLOW.count("runs-on:") == 1
    assert "BASE: ${{ inputs.base || 'HEAD^1' }}" in WORKFLOW
    assert "fetch-depth: 0" in WORKFLOW
    assert "FAIL_ON: slower:5% disagreed\n" in WORKFLOW


@pytest.mark.slow
def test_the_script_of_two_commits_passes_a_speed_up_and_gitlab_calls_it(place, tmp_path):
    commit(place, more=0)
    (script,) = [block for block in blocks(PAGE, language="sh") if " ab " in block]
    (place / "turns.sh").write_text(script.replace(" smoke ", f" {SMALL} "))
    (text,) = [block for block in blocks(PAGE, language="yaml") if "allow_failure" in block]
    [line] = listed(text, "script")
    done = shell(line, place, BASE="HEAD^1", ATTNBENCH="attnbench", REQUIREMENTS=".")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 faster" in done.stdout
    assert (place / "runs" / "turns.xml").is_file()
    installed = (tmp_path / "installed").read_text().splitlines()
    assert [line.partition(": ")[0].rpartition("/")[2] for line in installed[1::2]] == ["base", "head"]


def test_the_script_says_where_the_base_has_no_kernel(place):
    git(place, "checkout", "--quiet", "--orphan", "empty")
    git(place, "rm", "--quiet", "--force", "my_kernel.py")
    git(place, "commit", "--quiet", "-m", "Nothing yet")
    commit(place, more=0)
    (script,) = [block for block in blocks(PAGE, language="sh") if " ab " in block]
    done = shell(script, place, BASE="HEAD^1", ATTNBENCH="attnbench")
    assert (done.returncode, "nothing to judge: my_kernel.py is not there" in done.stderr) == (5, True), done.stderr
