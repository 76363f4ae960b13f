"""`attnbench merge` joins parts, says what is missing, and ends with a code that tells."""

from __future__ import annotations

import json
import shutil

import pytest

import attnbench
from harness.results.run import read_runs
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


@pytest.fixture(scope="module")
def several(parts, tmp_path_factory):
    """Merge two parts as if each were of a machine of its own."""
    folder = tmp_path_factory.mktemp("several")
    made = [shutil.copytree(part, folder / part.name) for part in parts]
    change(made[1] / "environment.json", id="bbbb")
    done = in_process("merge", *made, "-o", folder / "merges" / "all", "-q")
    assert (done.exit_code, done.stderr) == (0, "")
    return folder / "merges" / "all"


def test_several_machines_load_as_one_table_with_a_column_of_theirs(several):
    table = attnbench.load(several)
    assert list(table["run"].unique()) == [run.label for run in read_runs([several])]
    page = in_process("report", several, "--format", "md")
    assert page.stdout.count("## attnbench: ") == 2


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "MERGED", "PART"),
        ("compare", "PART", "MERGED"),
        ("export", "MERGED", "--to", "csv"),
        ("profile", "MERGED"),
    ],
)
def test_what_takes_one_run_names_the_folders_of_several_in_a_line(parts, several, words):
    named = {"MERGED": several, "PART": parts[0]}
    done = in_process(*(named.get(word, word) for word in words))
    folders = ", ".join(run.path.name for run in read_runs([several]))
    assert done.exit_code == USAGE
    assert done.output == f"attnbench: {several} holds runs of 2 machines: name one of {folders} in it\n"


def test_what_is_merged_is_no_run_to_go_on_with(several):
    done = in_process("run", "--resume", "-o", several)
    line = f"attnbench: {several} is merged of parts: resume the part that lacks something, and merge anew\n"
    assert (done.exit_code, done.stderr) == (USAGE, line)


def test_a_history_has_each_of_several_machines_wherever_their_merge_lies(several):
    for place in (several, several.parent):
        found = json.loads(in_process("history", place, "--json").stdout)
        assert sum(len(machine["runs"]) for machine in found["machines"]) == 2, place


def test_other_code_is_refused_and_merged_where_told(parts, tmp_path):
    made = [shutil.copytree(part, tmp_path / part.name) for part in parts]
    change(made[0] / "plan.json", fingerprint={"code": "c9"})
    refused = in_process("merge", *made, "-o", tmp_path / "all")
    assert refused.exit_code == USAGE
    assert "the code: c0 in part-2; c9 in part-1" in refused.stderr
    assert in_process("merge", *made, "-o", tmp_path / "all", "--allow-mixed").exit_code == 0
    again = in_process("merge", *parts, "-o", tmp_path / "all")
    assert (again.exit_code, "exists already" in again.stderr) == (USAGE, True)
