"""`attnbench ab`: two environments in turn, one folder that every reader takes, and the exit codes of `compare`."""

from __future__ import annotations

import json
import sys

import pytest

from attnbench import load
from harness.results.run import read_run
from tests.support.commands import briefly, in_process
from tests.support.pairs import make_pair

MINE = """
import torch
from attnbench import register


@register(problem="attention", name="mine", devices=("cpu",), dtypes=("float32",))
def mine(q, k, v, *, causal=False, scale=None, valid_lens=None):
    return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v
"""
WRONG = MINE.replace("return (", "return 0.9 * (")
SMALL = (
    "smoke",
    "--fast",
    "--impl",
    "mine",
    "-a",
    "n=16",
    "--device",
    "cpu",
    "--threads",
    "1",
    "--json",
    "--fail-on",
    "disagreed",
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """One interpreter twice, with a right kernel and a wrong one: what came of it, and the folder."""
    folder = tmp_path_factory.mktemp("ab")
    (folder / "base.py").write_text(MINE)
    (folder / "new.py").write_text(WRONG)
    files = [option for name in ("base", "new") for option in ("--impl-file", str(folder / f"{name}.py"))]
    done = briefly("ab", sys.executable, sys.executable, *SMALL, *files, "-o", folder / "both")
    return done, folder / "both"


@pytest.mark.slow
def test_each_side_is_held_against_the_oracle_by_its_own_gate(measured):
    done, folder = measured
    assert done.exit_code == 1, done.stderr
    [case] = json.loads(done.stdout)["cases"]
    assert (case["base"]["status"], case["new"]["status"]) == ("ok", "disagreed")
    assert case["outcome"] == "not comparable"
    assert json.loads((folder / "comparison.json").read_text())["in_turn"] is True
    assert "in NEW: " in done.stderr


@pytest.mark.slow
def test_a_side_is_a_run_of_its_own_which_says_who_measured_it(measured):
    _, folder = measured
    base, new = (read_run(folder / side) for side in ("base", "new"))
    assert base.plan is not None
    assert base.plan.interpreter == sys.executable
    assert base.plan.seed == new.plan.seed
    assert base.plan.digests["attention mine"] != new.plan.digests["attention mine"]
    assert (folder / "report.html").stat().st_size > 10_000
    refused = in_process("run", "--resume", "-o", folder / "base")
    assert refused.exit_code == 2
    assert "a side of `attnbench ab`" in refused.output


@pytest.fixture(scope="module")
def slower(tmp_path_factory):
    return make_pair(tmp_path_factory.mktemp("pair") / "both", factor=1.2)


def test_a_folder_of_two_sides_is_compared_again_under_another_demand(slower):
    done = in_process("compare", slower, "--fail-on", "slower:5%")
    assert done.exit_code == 1
    assert "both/new against both/base" in done.output
    assert "Both sides took turns" in done.output
    assert in_process("compare", slower, "--fail-on", "slower:50%").exit_code == 0
    refused = in_process("compare", slower, "--recheck")
    assert (refused.exit_code, "ab` again" in refused.output) == (2, True)


def test_report_and_load_take_both_sides(slower, tmp_path):
    page = tmp_path / "page.html"
    assert in_process("report", slower, "-o", page).exit_code == 0
    assert "What changed" in page.read_text()
    said = in_process("report", slower, "--format", "md").output
    assert all(f"## attnbench: {side}" in said for side in ("base", "new"))
    assert set(load(slower)["run"]) == {"both/base", "both/new"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("missing/python", sys.executable), "no Python that can be run"),
        ((sys.executable, sys.executable, *("--impl-file", "a.py") * 3), "one file for both sides"),
        ((sys.executable, sys.executable, "--fail-on", "faster"), "must read slower:5%"),
    ],
)
def test_a_mistake_ends_with_2_before_anything_is_measured(arguments, said, tmp_path):
    done = in_process("ab", *arguments, "-o", tmp_path / "both")
    assert done.exit_code == 2
    assert said in done.output
    assert not (tmp_path / "both").exists()


def test_a_side_without_attnbench_is_nothing_to_judge(tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho \"No module named 'harness'\" >&2\nexit 1\n")
    program.chmod(0o755)
    done = in_process("ab", program, program, "smoke", "--device", "cpu", "-o", tmp_path / "both")
    assert done.exit_code == 5
    assert "has no attnbench: install it in that environment" in done.output
