"""Every command prints one JSON document where asked to, and nothing but results and mistakes where asked for quiet."""

from __future__ import annotations

import json
import re
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from attnbench import console
from attnbench.app import COMMANDS, make_app
from attnbench.console import USAGE
from attnbench.options import Telling
from harness.runner.pairing import sides
from reports.terminal.progress import Lines, Quiet, Reporter
from tests.support import runs, shorter

NOISY = """
import os, sys, warnings
import torch
from attnbench import register

print("hello")
os.write(1, b"raw")
warnings.warn("loud")


@register(problem="attention", name="noisy", devices=("cpu",), supports=("causal", "valid_lens", "gqa", "d_v"))
def noisy(q, k, v, **options):
    from impls.attention.batched import batched

    print("hello again")
    return batched(q, k, v, **options)
"""
# The same without a sound.
QUIET = re.sub(r"^ *(print|os\.write|warnings\.warn)\(.*\n", "", NOISY, flags=re.MULTILINE)
SMALL = ["--impl", "noisy", "-a", "n=16"]
SLOW = [pytest.mark.slow]
# What each command is called with to do its work, and a name that its document has.
CALLS = [
    pytest.param("list", ["--device", "cpu", "--impl-file", "{noisy}"], "implementations", id="list"),
    pytest.param("new", ["{folder}/my_kernel.py"], "file", id="new"),
    pytest.param("plan", ["smoke", "--device", "cpu", "--impl-file", "{noisy}", *SMALL], "cases", id="plan"),
    pytest.param(
        "check", ["--quick", "--device", "cpu", "--impl", "noisy", "--impl-file", "{noisy}", "-k", "scale 1"],
        "outcomes", id="check",
    ),
    pytest.param("report", ["{run}", "-o", "{folder}/page.html"], "report", id="report"),
    pytest.param("report", ["{run}", "--format", "md"], "markdown", id="markdown"),
    pytest.param("compare", ["{run}", "{run}", "-o", "{folder}/changes.html"], "cases", id="compare"),
    pytest.param("history", ["{run}", "-o", "{folder}/history.html"], "machines", id="history"),
    pytest.param("export", ["{run}", "--to", "csv", "-o", "{folder}/cases.csv"], "file", id="export"),
    pytest.param("verify", ["--csv", "{table}", "--exponent", "2"], "verdicts", id="verify"),
    pytest.param(
        "run", ["smoke", "--fast", "--device", "cpu", "--impl-file", "{noisy}", *SMALL, "-o", "{folder}/new"],
        "verdicts", id="run", marks=SLOW,
    ),
    pytest.param(
        "profile", ["smoke", "--device", "cpu", "--impl-file", "{noisy}", *SMALL, "-o", "{folder}/profile"],
        "profile", id="profile", marks=SLOW,
    ),
    pytest.param(
        "ab", ["{python}", "{python}", "smoke", "--fast", "--device", "cpu", "--impl-file", "{noisy}", *SMALL, "-o",
               "{folder}/both"],
        "cases", id="ab", marks=SLOW,
    ),
    pytest.param("merge", ["{run}", "-o", "{folder}/all"], "merged", id="merge"),
    pytest.param("doctor", ["--device", "cpu"], "findings", id="doctor", marks=SLOW),
    pytest.param("lesson", ["--device", "cpu", "-o", "{folder}/lesson"], "lesson", id="lesson", marks=SLOW),
]  # fmt: skip


@pytest.fixture
def given(tmp_path):
    """Return a function that puts paths of files into a command's arguments."""
    runs.write_run(tmp_path / "run", [runs.ok_record(n=64)])
    (tmp_path / "noisy.py").write_text(NOISY)
    (tmp_path / "table.csv").write_text("n,seconds\n" + "".join(f"{n},{n * n}\n" for n in (64, 128, 256, 512)))
    places = {"run": "run", "noisy": "noisy.py", "table": "table.csv", "folder": "."}
    paths = {name: str(tmp_path / path) for name, path in places.items()} | {"python": sys.executable}
    return lambda arguments: [argument.format(**paths) for argument in arguments]


def call(*arguments):
    return CliRunner().invoke(make_app(), arguments, prog_name="attnbench")


def test_the_calls_are_of_every_command():
    # What `record` and `worker` tell is tried in tests of their own: it works until its scheduler is gone.
    assert {parameters.values[0] for parameters in CALLS} == set(COMMANDS) - {"worker", "record"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_both_options_from_the_group(name):
    options = {option.name: option for option in get_command(make_app()).commands[name].params}
    assert options["json"].opts == ["--json"]
    assert sorted(options["quiet"].opts) == ["--quiet", "-q"]


@pytest.mark.parametrize(("name", "arguments", "key"), CALLS)
def test_json_is_one_document_and_quiet_is_quiet(name, arguments, key, given, monkeypatch, request):
    shorter.shorten(monkeypatch.setattr)
    # What is told of two sides needs no spread: a pair of processes is enough.
    monkeypatch.setattr(sides, "PROCESSES", dict.fromkeys(sides.PROCESSES, 1))
    if "{noisy}" not in arguments:
        request.getfixturevalue("worker_here")
    done = call(name, *given(arguments), "--json", "--quiet")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout, parse_constant=pytest.fail)
    assert document[key]
    assert done.stderr == ""


@pytest.mark.usefixtures("worker_here")
@pytest.mark.parametrize(("name", "arguments"), [parameters.values[:2] for parameters in CALLS[:10]])
def test_without_json_there_is_text(name, arguments, given, tmp_path):
    # Noise is tried where a document would break by it; here the worker's output is ours.
    (tmp_path / "noisy.py").write_text(QUIET)
    done = call(name, *given(arguments), "--quiet")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout
    assert done.stdout[0] not in "{["


@pytest.mark.usefixtures("worker_here")
def test_a_mistake_is_told_all_the_same(given, tmp_path):
    (tmp_path / "broken.py").write_text("import nosuchmodule")
    done = call("list", "--device", "cpu", "--impl-file", str(tmp_path / "broken.py"), "--json", "--quiet")
    broken = [entry for entry in json.loads(done.stdout)["implementations"] if "nosuchmodule" in entry["reason"]]
    assert broken
    done = call("report", str(tmp_path / "nowhere"), "--json", "--quiet")
    assert (done.exit_code, done.stdout) == (USAGE, "")
    assert "is no run directory" in done.stderr


@pytest.mark.usefixtures("worker_here")
def test_a_plan_that_runs_nothing_says_so_and_is_no_success():
    plan = ["plan", "smoke", "--device", "cpu", "--impl", "sdpa-cudnn"]
    done = call(*plan)
    assert done.exit_code == USAGE
    assert "no case can run here; sdpa-cudnn" in done.stderr
    assert "0 to run" in done.stdout
    done = call(*plan, "--json")
    assert done.exit_code == USAGE
    assert all(case["skip"] for case in json.loads(done.stdout)["cases"])


def test_a_number_that_is_none_is_null(capsys):
    console.say_json({"error": float("nan"), "all": [float("inf"), 1.5], "deep": {"low": float("-inf")}})
    assert json.loads(capsys.readouterr().out) == {"error": None, "all": [None, 1.5], "deep": {"low": None}}


@pytest.mark.parametrize(
    "event", ["examining", "resumed", "judging", "failed", "unavailable", "replaced", "interrupted"]
)
def test_quiet_tells_of_failures_and_of_what_changes_a_run(event, capsys):
    calls = {
        "examining": lambda told: told.examining("batched", "float32", probes=3),
        "resumed": lambda told: told.resumed("runs/x"),
        "judging": lambda told: told.judging(),
        "failed": lambda told: told.failed(runs.ok_record(n=64), cost=1.0),
        "unavailable": lambda told: told.unavailable("k.py", "ImportError: x"),
        "replaced": lambda told: told.replaced("batched"),
        "interrupted": lambda told: told.interrupted(),
    }
    calls[event](Reporter(Lines()))
    assert capsys.readouterr().out
    calls[event](Quiet(Lines()))
    said = capsys.readouterr().out
    assert bool(said) == (event in {"failed", "unavailable", "replaced", "interrupted"})


def test_a_run_s_progress_is_beside_its_json(monkeypatch, capsys):
    for telling, stream in ((Telling(), "out"), (Telling(json=True), "err")):
        console.listener(telling, is_watched=True).judging()
        said = capsys.readouterr()
        assert getattr(said, stream) == "judging the claims\n"
        assert said.out + said.err == "judging the claims\n"
        console.announcer(telling)("a sum")
        assert "a sum" in getattr(capsys.readouterr(), stream)
    console.announcer(Telling(quiet=True))("a sum")
    assert capsys.readouterr() == ("", "")
