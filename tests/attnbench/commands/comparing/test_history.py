"""`attnbench history`: runs and baselines in order of time, a page without scripts, a gate that speaks."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from attnbench.app import make_app
from harness.comparing.baselines import written
from tests.support import runs
from tests.support.comparisons import MACHINE, drawn


def attnbench(*arguments):
    return CliRunner().invoke(make_app(), [str(argument) for argument in arguments], prog_name="attnbench")


def saved(folder, *, days, step_at=None, factor=1.3):
    """Save a baseline a day, in which `online` takes another time from a day on."""
    folder.mkdir()
    for day in range(days):
        taken = drawn(
            seed=day, sizes=3, rounds=12, name=f"day {day}", commit=f"{day:040x}",
            created=f"2026-01-{day + 1:02}T08:00:00+00:00",
            effect=lambda name, _place, late=step_at is not None and day >= step_at: np.log(factor)
            * (name == "online" and late),
            stable={**MACHINE, "torch": "2.13" if day < 5 else "2.14"},
        )  # fmt: skip
        (folder / f"{day:02}.json").write_text(written(taken))
    return folder


@pytest.fixture(scope="module")
def slower(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("history") / "slower", days=12, step_at=10)


def test_a_recent_change_ends_with_1_and_names_run_and_commit(slower):
    done = attnbench("history", slower, "--fail-on", "change:5%")
    assert done.exit_code == 1
    assert "12 runs, 18 cases: 3 changed for good." in done.output
    failed = [line for line in done.output.splitlines() if "FAILED" in line]
    assert len(failed) == 3
    assert all("online" in line and "slower since day 10 (2026-01-11, commit 000000000000)" in line for line in failed)
    assert attnbench("history", slower, "--fail-on", "change:80%").exit_code == 0
    assert attnbench("history", slower).exit_code == 0


def test_a_gate_on_a_calm_history_says_that_it_holds(tmp_path):
    done = attnbench("history", saved(tmp_path / "calm", days=8), "--fail-on", "change:5%")
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == (
        "--fail-on change:5%: holds in 18 cases; none became slower by that in its newest 3 runs"
    )


def test_a_gate_with_nothing_to_judge_ends_with_5(tmp_path):
    done = attnbench("history", saved(tmp_path / "one", days=1), "--fail-on", "change:5%")
    assert done.exit_code == 5
    assert "nothing to judge" in done.stderr


def test_json_has_levels_ratios_and_software(slower):
    found = json.loads(attnbench("history", slower, "--json", "--over", "sdpa-math").stdout)
    [machine] = found["machines"]
    assert [run["software"]["torch"] for run in machine["runs"]] == ["2.13"] * 5 + ["2.14"] * 7
    assert len(machine["trends"]) == 18
    assert {len(trend["over_base"]) for trend in machine["trends"]} == {12}


def test_the_page_stands_alone_and_marks_where_a_case_changed(slower, tmp_path):
    assert attnbench("history", slower, "-o", tmp_path / "history.html", "--over", "sdpa-math").exit_code == 0
    page = (tmp_path / "history.html").read_text(encoding="utf-8")
    assert "default-src &#39;none&#39;" in page
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    assert page.count("<polyline") == 18
    assert page.count('stroke="var(--bad)"') == 3
    assert page.index(">online<") < page.index(">batched<")
    assert "torch 2.14" in page


def test_names_in_a_page_are_text(tmp_path):
    folder = saved(tmp_path / "named", days=4)
    for path in folder.iterdir():
        path.write_text(path.read_text().replace("online", "<b>&amp;").replace("day ", "<i>"))
    attnbench("history", folder, "-o", tmp_path / "history.html")
    page = (tmp_path / "history.html").read_text(encoding="utf-8")
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;&amp;amp;" in page


def test_run_directories_and_folders_of_them_are_found(tmp_path):
    for name in ("a", "b"):
        runs.make_run(tmp_path / "runs" / name, sweeps=("heads",), failures=False)
    assert "2 runs, 63 cases" in attnbench("history", tmp_path / "runs").output
    assert "2 runs, 63 cases" in attnbench("history", tmp_path / "runs" / "a", tmp_path / "runs" / "b").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{empty}"], "has no runs and no baselines"),
        (["nowhere"], "nowhere is no run directory"),
        (["{empty}", "--fail-on", "slower:5%"], "must read change:5%"),
        (["{empty}", "--fail-on", "change"], "must read change:5%"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_exit_code_2(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    done = attnbench("history", *(argument.format(empty=tmp_path / "empty") for argument in arguments))
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
