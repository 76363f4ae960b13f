"""What a user gets wrong is said in one line, with exit code 2, before anything is measured."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from attnbench import __version__
from attnbench.app import COMMANDS, make_app
from attnbench.commands.plan import show
from attnbench.commands.run import exit_code
from attnbench.console import USAGE
from harness.instruments import timing
from harness.policy import DEFAULT
from harness.records import PlannedCase, Prediction
from harness.results.plan_file import DroppedPoint, Plan
from harness.results.run import read_run
from harness.results.verdicts_file import Verdict
from harness.runner.process import oom_kills
from harness.runner.state import thread_warnings
from scenarios import catalog
from tests.support import runs
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


def in_process(*arguments: str):
    return CliRunner().invoke(make_app(), arguments, prog_name="attnbench")


def test_help_lists_every_command_with_the_first_words_of_what_it_does():
    text = in_process("--help").output
    for name, command in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(command.__doc__[:20])}", text, re.MULTILINE), name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_words_for_each_option(name):
    done = in_process(name, "--help")
    assert done.exit_code == 0
    assert f"Example: attnbench {name}" in done.output
    helps = [option.help for option in get_command(make_app()).commands[name].params]
    assert helps
    assert all(helps)


def test_an_option_of_several_commands_reads_the_same_in_each():
    helps = defaultdict(set)
    for command in get_command(make_app()).commands.values():
        for option in command.params:
            helps[max(option.opts, key=len)].add(option.help)
    # These mean another thing to another command: what is kept, where it is written, what is seeded, what fails, what
    # groups or is told apart, in which form.
    assert {name for name, texts in helps.items() if len(texts) > 1} == {
        "-k",
        "--output",
        "--seed",
        "--fail-on",
        "--by",
        "--format",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--resume"], "--resume needs the run directory: -o DIR"),
        (["run", "--fail-on", "confirmed"], "no verdict 'confirmed'; have: refuted"),
        (["run", "--allocator", "kep"], "no allocator 'kep'; did you mean 'keep'? have: keep, system"),
        (["run", "--fast", "--rigorous"], "--fast and --rigorous exclude each other"),
        (["run", "smoke", "--device", "cpu", "--time-budget", "soon"], "duration 'soon' must read 90, 90s, 10m or 1h"),
        (["plan", "smoek"], "did you mean 'smoke'?"),
        (["report", "nowhere"], "nowhere is no run directory"),
        (["report", "nowhere", "--format", "pdf"], "no format 'pdf'; have: html, md"),
        (["export", "nowhere", "--to", "csv"], "nowhere is no run directory"),
        (["check", "--dtype", "float23", "--device", "cpu"], "no dtype 'float23'; did you mean 'float32'?"),
        (["verify", "--csv", "none.csv", "--exponent", "2"], "can't read none.csv"),
        (["verify", "--csv", "none.csv", "--exponent", "2", "--kind", "lay"], "no kind 'lay'; did you mean 'layer'?"),
        (["verify", "--csv", "none.csv", "--exponent", "2", "--source", "x"], "no source 'x'; have: auto, csv,"),
        (["verify", "--csv", "none.csv", "--exponent", "2", "--fail-on", "refuted"], "no verdict 'refuted'; have:"),
        (["list", "--device", "gpu"], "gpu"),
        (["doctor", "--device", "gpu"], "gpu"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_exit_code_2(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = in_process(*arguments)
    assert done.exit_code == USAGE
    assert message in done.stderr
    assert done.stderr.startswith("attnbench: ")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_option_is_named_with_exit_code_2():
    done = in_process("export", "somewhere")
    assert done.exit_code == USAGE
    assert "Missing option '--to'" in done.stderr


def test_the_version_is_that_of_the_package():
    done = in_process("--version")
    assert (done.exit_code, done.output) == (0, f"attnbench {__version__}\n")
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_verify_fails_only_on_the_verdicts_that_were_named(tmp_path):
    rows = "".join(f"{n},{1e-6 * n**2}\n" for n in (64, 128, 256, 512))
    (tmp_path / "t.csv").write_text(f"n,seconds\n{rows}")
    arguments = ["verify", "--csv", str(tmp_path / "t.csv"), "--exponent", "2"]
    assert "is inconclusive" in in_process(*arguments).output
    assert in_process(*arguments).exit_code == 0
    assert in_process(*arguments, "--fail-on", "contradicted").exit_code == 0
    assert in_process(*arguments, "--fail-on", "contradicted", "--fail-on", "inconclusive").exit_code == 1


def test_a_report_goes_where_it_is_told_and_markdown_to_the_terminal(tmp_path):
    directory = tmp_path / "run"
    runs.write_run(directory, [runs.ok_record(n=64)])
    page = tmp_path / "pages" / "page.html"
    assert in_process("report", str(directory), "-o", str(page)).output.strip() == str(page)
    assert page.is_file()
    assert in_process("report", str(directory)).output.strip() == str(directory / "report.html")
    assert in_process("report", str(directory), "--format", "md").output.startswith("## attnbench: run")
    summary = tmp_path / "summary.md"
    assert in_process("report", str(directory), "--format", "md", "-o", str(summary)).output.strip() == str(summary)
    assert summary.read_text(encoding="utf-8").startswith("## attnbench: run")


def test_an_export_lies_beside_the_run_unless_told_otherwise(tmp_path):
    directory = tmp_path / "run"
    runs.write_run(directory, [runs.ok_record(n=64)])
    assert in_process("export", str(directory), "--to", "csv").output.strip() == str(directory / "cases.csv")
    done = in_process("export", str(directory), "--to", "xml")
    assert done.exit_code == USAGE
    assert "no export format 'xml'" in done.stderr


def test_a_plan_says_what_a_case_costs_and_why_one_is_skipped(capsys):
    case = runs.ok_case(n=64)
    cost = Prediction(operations=2_000_000, extra_bytes=1536, resident_bytes=0, seconds=0.0021)
    shown = Plan.model_construct(
        device="cpu",
        policy=DEFAULT,
        cases=[
            PlannedCase(case=case, predicted=cost),
            PlannedCase(case=case, predicted=cost, skip="predicted_oom", reason="needs 2 TiB"),
            PlannedCase(case=case, skip="unsupported", reason="no d_v"),
        ],
        dropped=[DroppedPoint(scenario="smoke", point={"n": 1}, reason="too small")],
    )
    show(shown)
    first, second, third, dropped, last, whole = capsys.readouterr().out.splitlines()
    assert first.endswith(": 2e+06 FLOP, 1.50 KiB extra, 2.10 ms")
    assert second.endswith("2.10 ms; predicted_oom: needs 2 TiB")
    assert third.endswith(": unsupported: no d_v")
    assert dropped == "smoke {'n': 1}: dropped, too small"
    assert last == "3 cases, 1 to run; one call of each takes 2.10 ms or so"
    assert whole == "a run of them takes about 0 min or more; its time budget is 5 min"


def test_n_takes_the_place_of_both_lengths():
    pooling = catalog.find("pooling").with_axes({"n": [32, 64]})
    points, _ = pooling.points()
    assert {frozenset(point) & {"n", "n_q", "n_k"} for point in points} == {frozenset({"n"})}
    both = catalog.find("pooling").with_axes({"n": [32], "n_q": [8]})
    assert {(point["n"], point["n_q"]) for point in both.points()[0]} == {(32, 8)}


def test_a_missing_implementation_file_is_named(tmp_path):
    done = attnbench("run", "smoke", "--impl-file", str(tmp_path / "none.py"), "-o", str(tmp_path / "run"))
    assert done.returncode == USAGE
    assert "no such file" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_in_which_no_case_can_run_ends_with_the_reason(tmp_path):
    done = attnbench("run", "smoke", "--impl", "sdpa-cudnn", "--device", "cpu", "-o", str(tmp_path / "run"))
    assert done.returncode == USAGE
    assert "no case can run here" in done.stderr
    assert "runs on cuda only" in done.stderr


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
    assert refused.returncode == USAGE


def test_more_threads_than_processors_are_a_warning():
    assert thread_warnings(None) == []
    assert thread_warnings(1) == []
    assert "wait for each other" in thread_warnings(10_000)[0]


def test_replaced_clocks_are_put_back_and_named(monkeypatch):
    monkeypatch.setattr(timing.time, "perf_counter", lambda: 0.0)
    assert timing.mend_clocks() == ["perf_counter"]
    assert timing.time.perf_counter is timing.CLOCKS["perf_counter"]
    assert timing.mend_clocks() == []


def test_the_kernel_counts_its_kills_or_says_nothing():
    kills = oom_kills()
    assert kills is None or kills >= 0


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_an_empty_shard_of_a_legal_split_is_fine_and_says_so(verb, tmp_path):
    words = ["smoke", "--impl", "batched", "-a", "n=16"]
    output = ["-o", str(tmp_path / "run")] if verb == "run" else []
    first = in_process("plan", *words, "--shard", "1/2")
    assert first.exit_code == 0
    # One case is in one of two shards.
    empty = "1/2" if "is empty" in first.output else "2/2"
    done = in_process(verb, *words, *output, "--shard", empty)
    assert done.exit_code == 0
    assert f"shard {empty} of one case is empty: nothing to do" in done.output


@pytest.mark.parametrize(
    ("verdicts", "code"), [([], USAGE), (["inconclusive"], USAGE), (["inconclusive", "confirmed"], 0), (["refuted"], 1)]
)
def test_failing_on_a_verdict_needs_one_that_was_decided(tmp_path, verdicts, code):
    path = tmp_path / "run"
    given = [
        Verdict(
            claim="A2", implementation=f"i{number}", quantity="all", verdict=verdict, arithmetic="confirmed", reason="x"
        )
        for number, verdict in enumerate(verdicts)
    ]
    runs.write_run(path, [runs.ok_record()], verdicts=given)
    try:
        found = exit_code(read_run(path), fail_on="refuted")
    except typer.Exit as ended:
        found = ended.exit_code
    assert found == code
    assert exit_code(read_run(path), fail_on=None) == 0


def test_a_plan_for_a_gpu_that_is_not_here_is_modelled_and_says_so():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    result = in_process("plan", "head-dim", "--device", "cuda", "--impl", "sdpa-flash")
    assert result.exit_code == 0
    assert "planned for an NVIDIA H100 80GB HBM3 by its datasheet: nothing was measured" in result.stderr
    assert "a run of them takes about" in result.stdout
    assert "its time budget is 13 min" in result.stdout
    assert "sdpa-flash n=4096,heads=16,batch=1,d=64 bfloat16" in result.stdout
