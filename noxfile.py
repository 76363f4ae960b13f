"""Sessions: `nox -s bench` measures and reports, `nox -s tests` tests; arguments after -- are passed on."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

# A file's tests stay in one process, since they share runs; more processes than this want gigabytes.
SIDE_BY_SIDE = ("-n", str(min(8, os.cpu_count() or 1)), "--dist", "loadfile", "--no-loadscope-reorder")
PINS = ("-c", "constraints.txt")


def _install(session: nox.Session, *groups: str) -> None:
    """Install attnbench and dependency groups at pinned versions; `nox --no-venv` uses what is there."""
    if not session.virtualenv.is_sandboxed:
        return
    wanted = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), *groups) if groups else ()
    # What is imported is compiled then; most of PyTorch never is.
    session.install("--no-compile", *PINS, "-e", ".", *wanted)


def _evidence(session: nox.Session, program: str, *arguments: str) -> None:
    """Run a program of tests/evidence; the checkout comes before packages that are installed under its names."""
    places = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
    session.run("python", "-m", f"tests.evidence.{program}", *arguments, env={"PYTHONPATH": places})


@nox.session(venv_backend="none")
def dev(session: nox.Session) -> None:
    """Make .venv, or fill the one there, with attnbench as it lies here and what its tests, types and style need."""
    python = Path(".venv") / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not python.exists():
        session.run(sys.executable, "-m", "venv", ".venv", external=True)
    wanted = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "test", "lint", "types")
    session.run(str(python), "-m", "pip", "install", *PINS, "-e", ".", *wanted, *session.posargs, external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the default scenarios on the best device present, then write the report."""
    _install(session)
    session.run("python", "-m", "attnbench", "run", *session.posargs)


@nox.session
def report(session: nox.Session) -> None:
    """Render the report of run directories: `nox -s report -- runs/NAME`."""
    _install(session)
    session.run("python", "-m", "attnbench", "report", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test that this machine can run, a file at a time on each core; `-- -n0` for one after another."""
    _install(session, "test")
    _tests(session)


def _tests(session: nox.Session) -> None:
    session.run("python", "-m", "pytest", *SIDE_BY_SIDE, *session.posargs)


def at_lowest(requirements: list[str]) -> list[str]:
    """Pin each requirement to the lowest version that its range allows; one without such a bound stays."""
    pinned = (re.sub(r">=\s*([\w.]+)[^;]*", r"==\1", wanted) for wanted in requirements)
    return [wanted.strip() for wanted in pinned]


def _bounds(session: nox.Session, *, is_lowest: bool) -> None:
    """Test against one end of every range of pyproject.toml; with --no-venv against what is there.

    Old packages warn of new ones beside them, and new ones of what they will drop: that is no mistake of ours.
    """
    project = nox.project.load_toml("pyproject.toml")
    wanted = [*project["project"]["dependencies"], *nox.project.dependency_groups(project, "test")]
    if session.virtualenv.is_sandboxed:
        session.install("--upgrade", *(at_lowest(wanted) if is_lowest else wanted))
        session.install("--no-deps", "-e", ".")
    warnings = ("-W", "ignore::DeprecationWarning")
    session.run("python", "-m", "pytest", *warnings, *(session.posargs or SIDE_BY_SIDE))


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """Run the tests on the oldest Python, torch and packages that pyproject.toml allows; `-- tests/FOLDER` for some."""
    _bounds(session, is_lowest=True)


@nox.session(python="3.14")
def newest(session: nox.Session) -> None:
    """Run the tests on the newest Python, torch and packages that there are; `-- tests/FOLDER` for some."""
    _bounds(session, is_lowest=False)


@nox.session
def gates(session: nox.Session) -> None:
    """Hold every implementation and mutant against the oracle in every dtype, then write docs/gates.md."""
    _install(session, "test")
    tests = ("harness/gate/test_gates.py", "harness/gate/test_mutants.py", "impls/multihead/test_problem.py")
    session.run("python", "-m", "pytest", *(f"tests/{file}" for file in tests), "--all-gates", *session.posargs)
    _evidence(session, "gate_rates", "--write", "docs/gates.md")


@nox.session
def backends(session: nox.Session) -> None:
    """Install other libraries whose attention runs on a CPU, and hold each to the whole battery."""
    _install(session, "test")
    if session.virtualenv.is_sandboxed:
        session.install(*PINS, "-e", ".[onnxruntime,openvino,jax,transformers]")
    session.run("python", "-m", "pytest", "tests/impls/attention/libraries", "tests/impls/attention/test_compiled.py")
    names = ("onnxruntime", "openvino", "jax", "hf-sdpa", "hf-eager")
    asked = [word for name in names for word in ("--impl", name)]
    session.run("python", "-m", "attnbench", "check", "--device", "cpu", *asked, *session.posargs)


@nox.session
def kills(session: nox.Session) -> None:
    """Kill a run at 50 random moments, resume it, look for what is lost, and write docs/surviving.md."""
    _install(session, "test")
    _evidence(session, "kill_rates", "--write", "docs/surviving.md", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Read ten thousand generated tables: each gives verdicts or says what is wrong, within 2 s and 500 MB."""
    _install(session, "test")
    _evidence(session, "fuzz_tables", *session.posargs)


@nox.session(name="fuzz-runs")
def fuzz_runs(session: nox.Session) -> None:
    """Read ten thousand damaged run directories: each gives its report and exports, or lines that say what is wrong."""
    _install(session, "test")
    _evidence(session, "fuzz_runs", *session.posargs)


@nox.session(name="pytest-bench")
def pytest_bench(session: nox.Session) -> None:
    """Time every implementation under pytest-benchmark: `nox -s pytest-bench -- --scenario sequence-length`."""
    _install(session, "test")
    session.run("python", "-m", "pytest", "tests/bench", "--benchmark-only", *session.posargs)


@nox.session
def peers(session: nox.Session) -> None:
    """Time the same calls by this and by other tools, and write docs/peers.md; `-- --quick` for a look."""
    _install(session, "test")
    _evidence(session, "peers.compare_tools", *session.posargs)


@nox.session
def reach(session: nox.Session) -> None:
    """Hold how far memory is predicted to reach against the largest n that runs under an allocation cap."""
    _install(session, "test")
    _evidence(session, "reach", *session.posargs)


@nox.session
def sampling(session: nox.Session) -> None:
    """Simulate how often each tool's interval holds the truth, and write docs/sampling.md."""
    _install(session)
    _evidence(session, "peers.coverage", *session.posargs)


@nox.session
def reproducibility(session: nox.Session) -> None:
    """Repeat a bench and two other tools, and write how far runs differ: `-- --quick`, or `-- --runs A B`."""
    _install(session, "test")
    _evidence(session, "reproducibility", *session.posargs)


@nox.session
def gpu(session: nox.Session) -> None:
    """Run the tests that need a CUDA device; nothing but pytest is installed for them."""
    _install(session)
    if session.virtualenv.is_sandboxed:
        session.install(*PINS, "pytest")
    session.run("python", "-m", "pytest", "-m", "gpu", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and the direction of imports."""
    _install(session, "lint")
    _lint(session)


def _lint(session: nox.Session) -> None:
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    _install(session, "types", "test")
    _types(session)


def _types(session: nox.Session) -> None:
    session.run("mypy")


@nox.session
def ci(session: nox.Session) -> None:
    """Do what `nox -s lint types tests` does in one environment, as PyTorch is installed once for it."""
    _install(session, "lint", "types", "test")
    _lint(session)
    _types(session)
    _tests(session)


@nox.session
def vendor(session: nox.Session) -> None:
    """Fetch what reports/page/vendor carries again, and compare it byte for byte; needs npm and the network."""
    session.run("python", "reports/page/vendor/compare.py", *session.posargs)


@nox.session
def calibration(session: nox.Session) -> None:
    """Simulate truths, judge them, and write docs/calibration.md; `-- --sets 50 -o FILE` for a quick look."""
    _install(session, "calibration")
    _evidence(session, "calibration.calibrate", *session.posargs)
