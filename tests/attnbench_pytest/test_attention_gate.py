"""`attention_gate` in a kernel's own tests: wrong answers fail, with a command that repeats them; so does silence."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

from tests.support.places import ROOT

KERNEL = """
from attnbench import register
from shared import attend


@register(
    problem="attention", name="{name}", devices=("{device}",), dtypes=("float32", "float64"), supports=("causal",)
)
def {name}(q, k, v, *, causal=False, scale=None, valid_lens=None):
    return attend(q, k, v, causal={causal}, scale=scale)
"""
SHARED = """
import torch


def attend(q, k, v, *, causal, scale):
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    if causal:
        future = torch.ones(scores.shape[-2:], dtype=torch.bool).tril(k.shape[-2] - q.shape[-2]).logical_not()
        scores = scores.masked_fill(future, -torch.inf)
    return scores.softmax(-1) @ v
"""
# What calls no kernel, or an honest one, may have its worker in the tests' process, which takes no time to start.
FIXTURES = """
import pytest


@pytest.fixture
def worker_here(monkeypatch):
    from tests.support.worker_here import take_the_place_of_processes

    take_the_place_of_processes(monkeypatch)
"""
TESTS = """
import pytest


@pytest.mark.usefixtures("worker_here")
def test_right(attention_gate):
    report = attention_gate("right", file="right.py", dtypes=("float32", "float64"), probes="n 129")
    assert {(one.dtype, one.status) for one in report.outcomes if one.direction == "forward"} == {
        ("float32", "ok"),
        ("float64", "ok"),
    }


def test_wrong(attention_gate):
    attention_gate(file="wrong.py", dtypes="float32", probes="causal")


def test_registered_by_an_import(attention_gate):
    import imported

    attention_gate("imported", dtypes="float32", probes="n 129")


@pytest.mark.usefixtures("worker_here")
def test_of_attnbench_itself(attention_gate):
    attention_gate("batched", dtypes="float32", probes="n 129")


@pytest.mark.usefixtures("worker_here")
def test_elsewhere(attention_gate):
    attention_gate(file="elsewhere.py", device="cpu")


@pytest.mark.usefixtures("worker_here")
def test_unknown(attention_gate):
    attention_gate("rihgt", file="right.py")


def test_no_file(attention_gate):
    attention_gate(file="nowhere.py")


@pytest.mark.usefixtures("worker_here")
def test_no_such_probe(attention_gate):
    attention_gate(file="right.py", probes="no such probe")


@pytest.mark.usefixtures("worker_here")
def test_undeclared(attention_gate):
    attention_gate(file="right.py", dtypes=("float32", "float16"), probes="n 129")


def test_no_such_dtype(attention_gate):
    attention_gate(file="right.py", dtypes="float31")


def test_nothing_named(attention_gate):
    attention_gate()


@pytest.mark.usefixtures("worker_here")
def test_gate_then_time(attention_gate, benchmark):
    attention_gate(file="right.py", dtypes="float32", probes="n 129")
    assert benchmark(sum, [1, 2]) == 3
"""
PLUGIN = ("-p", "attnbench_pytest")
BENCHMARK = ("-p", "pytest_benchmark.plugin")


def run_pytest(folder, *words, autoload=False, path=(ROOT,)):
    """Run pytest in a folder, with the named plugins alone or with all that are installed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    environment.pop("PYTEST_DISABLE_PLUGIN_AUTOLOAD", None)
    if not autoload:
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=560,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A kernel's own repository, its kernels sharing a module that no installed package has."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "shared.py").write_text(SHARED)
    for name, device, causal in (
        ("right", "cpu", "causal"),
        ("imported", "cpu", "causal"),
        ("wrong", "cpu", "False"),
        ("elsewhere", "cuda", "causal"),
    ):
        (folder / f"{name}.py").write_text(KERNEL.format(name=name, device=device, causal=causal))
    (folder / "test_kernels.py").write_text(TESTS)
    (folder / "conftest.py").write_text(FIXTURES)
    return folder


@pytest.fixture(scope="module")
def said(project):
    """Run its tests with pytest-benchmark beside the plugin; the last test of this file has the plugin alone."""
    return run_pytest(project, *PLUGIN, *BENCHMARK).stdout


def failure(said, test):
    """Return what a failed test says under its heading."""
    return re.search(rf"^_+ {test} _+\n(.*?)(?=^(?:_+ \w+ _+|=+ .* =+)$)", said, re.MULTILINE | re.DOTALL)[1]


def test_what_agrees_passes_and_what_runs_elsewhere_is_skipped_with_the_reason(said):
    passed = re.findall(r"^PASSED test_kernels.py::(\w+)", said, re.MULTILINE)
    agreed = ["test_gate_then_time", "test_of_attnbench_itself", "test_registered_by_an_import", "test_right"]
    assert sorted(passed) == agreed, said
    assert "elsewhere runs on cuda only, and this is cpu" in said
    assert "8 failed" not in said
    assert "7 failed, 4 passed, 1 skipped" in said


def test_it_stands_beside_pytest_benchmark(said):
    assert "PASSED test_kernels.py::test_gate_then_time" in said
    assert re.search(r"^test_gate_then_time +\d", said, re.MULTILINE)


def test_a_failure_names_probe_and_dtype_and_its_command_repeats_it(said, project):
    text = failure(said, "test_wrong")
    assert re.search(r"does not pass the gate: \d+ of \d+ probes failed", text)
    probe = re.search(r"^disagreed: wrong float32, (.*causal.*, forward): ", text, re.MULTILINE)[1]
    assert "  also disagreed: " in text
    command = re.search(r"^  again: (.*)$", text, re.MULTILINE)[1]
    assert probe in command
    launcher = f"{sys.executable} -m attnbench"
    done = subprocess.run(
        command.replace("attnbench check", f"{launcher} check", 1),
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert probe in done.stdout


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("test_unknown", "no implementation 'rihgt'; did you mean 'right'?"),
        ("test_no_file", "no file "),
        ("test_no_such_probe", "nothing was checked: no probe"),
        ("test_undeclared", "nothing was asked in float16: not declared, or no probe is supported"),
        ("test_no_such_dtype", "no dtype 'float31'; did you mean 'float32'?"),
        ("test_nothing_named", "attention_gate needs the name of an implementation, or a file"),
    ],
)
def test_what_held_nothing_against_the_oracle_fails_and_says_why(said, test, message):
    assert message in failure(said, test)
    assert "Traceback" not in failure(said, test)


UNCONCERNED = """
import sys


def test_nothing_of_ours_is_imported(request):
    ours = {"attnbench", "impls", "reports", "scenarios", "torch", "pandas"}
    assert "attnbench_pytest" in sys.modules
    assert not ours & sys.modules.keys()


def test_our_own_harness():
    import harness

    assert harness.OWN
"""


def test_the_entry_point_loads_it_and_leaves_projects_alone_that_do_not_use_it(tmp_path):
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    installed, project = tmp_path / "installed", tmp_path / "project"
    information = installed / "attnbench_of_this_tree-1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: attnbench-of-this-tree\nVersion: 1\n")
    lines = "".join(f"{name} = {module}\n" for name, module in points.items())
    (information / "entry_points.txt").write_text(f"[pytest11]\n{lines}")
    shutil.copytree(ROOT / "attnbench_pytest", installed / "attnbench_pytest")
    # A package named as one of ours, which stops the command line.
    (project / "harness").mkdir(parents=True)
    (project / "harness" / "__init__.py").write_text("OWN = True\n")
    (project / "test_unconcerned.py").write_text(UNCONCERNED)
    words = ("-p", "no:hypothesispytest", "-p", "no:benchmark")
    done = run_pytest(project, *words, autoload=True, path=(installed,))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
