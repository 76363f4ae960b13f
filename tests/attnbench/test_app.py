"""What a user gets wrong is said in one line, with exit code 2, before anything is measured."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from attnbench import __version__
from attnbench.app import COMMANDS, make_app
from attnbench.console import USAGE
from harness.runner.process import oom_kills
from tests.support.commands import attnbench, in_process


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
    # groups or is told apart, in which form, what two sides are.
    others = {"-k", "--output", "--seed", "--fail-on", "--by", "--format"}
    assert {name for name, texts in helps.items() if len(texts) > 1} == others


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


def test_the_version_is_that_of_the_package():
    done = in_process("--version")
    assert (done.exit_code, done.output) == (0, f"attnbench {__version__}\n")
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("ver", {"verify"}),
        ("run --time", {"--time-budget", "--timeout"}),
        ("run head", {"head-dim", "heads", "heads-fixed-width"}),
        ("check --impl sdpa-m", {"sdpa-math"}),
        ("run nothing-like-it", set()),
    ],
)
def test_a_shell_completes_commands_options_scenarios_and_implementations(typed, completed):
    words = f"attnbench {typed}"
    asked = {"_ATTNBENCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = CliRunner().invoke(make_app(), [], prog_name="attnbench", env=asked)
    assert set(done.output.split()) == completed


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


def test_the_kernel_counts_its_kills_or_says_nothing():
    kills = oom_kills()
    assert kills is None or kills >= 0
