"""What a user gets wrong is said in one line, with exit code 2, before anything is measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness import commands, timing
from harness.runner.process import oom_kills
from harness.runner.selection import SelectionError
from harness.runner.state import thread_warnings
from reports.terminal import results
from scenarios import catalog

ROOT = Path(__file__).resolve().parent.parent


def attnbench(*arguments: str, cwd: Path = ROOT, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *python, "-m", "attnbench", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=280,
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("90s", 90.0), ("10m", 600.0), ("1h", 3600.0), ("0.5m", 30.0), (None, None)]
)
def test_durations_are_read(text, seconds):
    assert commands.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["nan", "inf", "10ms", "5sss", "1hm", "-1", "0", "", "1e3"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(SelectionError, match="must read"):
        commands.parse_duration(text)


def test_n_takes_the_place_of_both_lengths():
    pooling = catalog.find("pooling").with_axes({"n": [32, 64]})
    points, _ = pooling.points()
    assert {frozenset(point) & {"n", "n_q", "n_k"} for point in points} == {frozenset({"n"})}
    both = catalog.find("pooling").with_axes({"n": [32], "n_q": [8]})
    assert {(point["n"], point["n_q"]) for point in both.points()[0]} == {(32, 8)}


def test_scenarios_of_one_name_are_refused(tmp_path):
    (tmp_path / "smoke.toml").write_text('question = "?"\n[[axes]]\nname = "n"\nvalues = [16]\n')
    with pytest.raises(catalog.ScenarioError, match="several scenarios are named smoke"):
        commands.find_scenarios(["smoke", str(tmp_path / "smoke.toml")])


def test_a_missing_implementation_file_is_named(tmp_path):
    done = attnbench("run", "smoke", "--impl-file", str(tmp_path / "none.py"), "-o", str(tmp_path / "run"))
    assert done.returncode == commands.USAGE
    assert "no such file" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_in_which_no_case_can_run_ends_with_the_reason(tmp_path):
    done = attnbench("run", "smoke", "--impl", "loop", "-a", "n=abc", "--device", "cpu", "-o", str(tmp_path / "run"))
    assert done.returncode == commands.USAGE
    assert "no case can run here" in done.stderr
    assert "positive integer" in done.stderr


def test_a_broken_implementation_file_is_told_of_where_another_is_chosen(tmp_path):
    (tmp_path / "broken.py").write_text("def (")
    done = attnbench("plan", "smoke", "--impl", "loop", "--device", "cpu", "--impl-file", str(tmp_path / "broken.py"))
    assert done.returncode == 0
    assert "broken.py: SyntaxError" in done.stderr


def test_a_point_too_large_to_plan_is_skipped_with_a_reason():
    done = attnbench("plan", "smoke", "--impl", "loop", "--device", "cpu", "-a", "n=16,1099511627776")
    assert done.returncode == 0
    assert "too large to plan" in done.stdout


def test_folders_of_our_names_where_the_user_is_are_not_loaded(tmp_path):
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "__init__.py").write_text("raise SystemExit('hijacked')")
    # -P leaves the working directory out of the import path, as the console script does.
    done = attnbench("list", "--device", "cpu", cwd=tmp_path, python=("-P",))
    assert "hijacked" not in done.stdout + done.stderr
    assert done.returncode == 0
    refused = attnbench("list", "--device", "cpu", cwd=tmp_path)
    assert "hijacked" not in refused.stdout + refused.stderr
    assert "'harness' is in the way" in refused.stderr
    assert refused.returncode == commands.USAGE


def test_more_threads_than_processors_are_a_warning():
    assert thread_warnings(None) == []
    assert thread_warnings(1) == []
    assert "wait for each other" in thread_warnings(10_000)[0]


def test_replaced_clocks_are_put_back_and_named(monkeypatch):
    monkeypatch.setattr(timing.time, "perf_counter", lambda: 0.0)
    assert timing.mend_clocks() == ["perf_counter"]
    assert timing.time.perf_counter is timing.CLOCKS["perf_counter"]
    assert timing.mend_clocks() == []


def test_an_interval_of_decades_is_called_unresolved():
    assert results.interval(4e-9, 0.275) == "unresolved"
    assert results.interval(None, None) == "none"
    assert results.interval(0.9e-3, 1.1e-3) == "900 µs to 1.10 ms"


def test_the_kernel_counts_its_kills_or_says_nothing():
    kills = oom_kills()
    assert kills is None or kills >= 0
