"""`attnbench baseline` keeps runs as small files by name, lists them, and compares with them."""

from __future__ import annotations

import json

from tests.support import runs
from tests.support.commands import in_process


def test_a_baseline_is_saved_listed_and_compared_with(base, slower, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved = in_process("baseline", "save", base, "main")
    assert (saved.exit_code, saved.output.strip()) == (0, "baselines/main.json")
    assert "main  2026-03-01T12:00:00+00:00  Synthetic CPU, 2 cores  91 of 91" in in_process("baseline", "list").output
    assert json.loads(in_process("baseline", "list", "--json").output)[0]["timed"] == 91
    for done in (
        in_process("baseline", "compare", "main", slower, "--fail-on", "slower:5%"),
        in_process("compare", "main", slower, "--fail-on", "slower:5%"),
        in_process("compare", "baselines/main.json", slower, "--fail-on", "slower:5%"),
    ):
        assert done.exit_code == 1
        assert "after against main" in done.output


def test_a_partial_baseline_compares_what_it_has(base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    some = runs.make_run(tmp_path / "some", sweeps=("sequence-length",), cases=20, failures=False, seed=8)
    in_process("baseline", "save", some, "some")
    done = in_process("baseline", "compare", "some", base, "--fail-on", "slower:20%")
    assert done.exit_code == 0
    assert "20 of 91 cases compare" in done.output
    assert "71 of 91 can't be judged" in done.output


def test_a_missing_baseline_is_2_and_names_those_there_are(base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "baselines has no baselines" in in_process("baseline", "compare", "main", base).stderr
    assert in_process("baseline", "list").output.strip() == "no baselines in baselines"
    in_process("baseline", "save", base, "main")
    done = in_process("baseline", "compare", "mian", base)
    assert done.exit_code == 2
    assert "no baseline 'mian'; did you mean 'main'? have: main" in done.stderr


def test_a_baseline_is_not_replaced_unless_asked(base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    in_process("baseline", "save", base, "main")
    again = in_process("baseline", "save", base, "main")
    assert again.exit_code == 2
    assert "exists: choose another name, or --force" in again.stderr
    assert in_process("baseline", "save", base, "main", "--force").exit_code == 0
    assert "no name for a baseline" in in_process("baseline", "save", base, "../main").stderr
