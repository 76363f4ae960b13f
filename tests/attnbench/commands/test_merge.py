"""`attnbench merge` joins parts, says what is missing, and ends with a code that tells."""

from __future__ import annotations

import json
import shutil

import pytest

import attnbench
from tests.support.commands import in_process
from tests.support.parts import change, make_parts

MISSING, USAGE = 4, 2


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return make_parts(tmp_path_factory.mktemp("parts"), count=2)


def test_parts_become_a_run_that_loads_as_any_other(parts, tmp_path):
    done = in_process("merge", *parts, "-o", tmp_path / "all")
    assert done.exit_code == 0, done.output
    assert "Synthetic CPU, 2 cores: 294 cases of 2 parts (part-1, part-2)" in done.stdout
    table = attnbench.load(tmp_path / "all")
    assert (len(table), set(table["status"])) == (294, {"ok"})


def test_what_is_missing_is_said_and_ends_with_four(parts, tmp_path):
    done = in_process("merge", parts[0], "-o", tmp_path / "all", "--json")
    assert done.exit_code == MISSING
    found = json.loads(done.stdout)
    assert found["directory"] == str(tmp_path / "all")
    assert len(found["merged"]["missing"]) > 100
    assert "of the plan have no closed record" in done.stderr


def test_several_machines_load_as_one_table_with_a_column_of_theirs(parts, tmp_path):
    from harness.results.run import read_runs

    made = [shutil.copytree(part, tmp_path / part.name) for part in parts]
    change(made[1] / "environment.json", id="bbbb")
    done = in_process("merge", *made, "-o", tmp_path / "all", "-q")
    assert (done.exit_code, done.stderr) == (0, "")
    table = attnbench.load(tmp_path / "all")
    assert list(table["run"].unique()) == [run.label for run in read_runs([tmp_path / "all"])]
    page = in_process("report", tmp_path / "all", "--format", "md")
    assert page.stdout.count("## attnbench: ") == 2


def test_other_code_is_refused_and_merged_where_told(parts, tmp_path):
    made = [shutil.copytree(part, tmp_path / part.name) for part in parts]
    change(made[0] / "plan.json", fingerprint={"code": "c9"})
    refused = in_process("merge", *made, "-o", tmp_path / "all")
    assert refused.exit_code == USAGE
    assert "the code: c0 in part-2; c9 in part-1" in refused.stderr
    assert in_process("merge", *made, "-o", tmp_path / "all", "--allow-mixed").exit_code == 0
    again = in_process("merge", *parts, "-o", tmp_path / "all")
    assert (again.exit_code, "exists already" in again.stderr) == (USAGE, True)
