"""Everything imports without CUDA, light commands don't import torch, and imports go one way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

HEAVY = ("torch", "pandas", "seaborn", "scipy", "matplotlib")


def modules() -> list[str]:
    files = [
        file
        for room in ("attnbench", "attnbench_pytest", "harness", "impls", "scenarios", "reports")
        for file in (ROOT / room).rglob("*.py")
        if file.stem != "__main__"
    ]
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return sorted(name.removesuffix(".__init__") for name in names)


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )


def test_every_module_imports_where_cuda_is_hidden():
    code = (
        "import os, sys, importlib\n"
        "os.environ['CUDA_VISIBLE_DEVICES'] = ''\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
    )
    done = run_python(code, *modules())
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", ["--help", "--version", "run --help", "list --help", "plan --help"])
def test_help_imports_nothing_heavy(line):
    code = (
        "import sys, attnbench\n"
        "try: attnbench.main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    done = run_python(code, *line.split())
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_the_parent_of_a_run_never_imports_torch():
    done = run_python(
        "import sys, harness.runner.execute, attnbench.app, attnbench.reading; print('torch' in sys.modules)"
    )
    assert done.stdout.strip() == "False", done.stderr


def test_imports_go_one_way():
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout


def test_an_installed_package_of_tests_is_not_taken_for_ours(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "__init__.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-pno:cacheprovider", "-kone_dtype", "tests/support/test_sample.py"],
        capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout


def test_a_package_in_the_way_is_named(tmp_path):
    for room in ("harness", "impls"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(ROOT)!r}); import attnbench; attnbench.main()"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "in the way" in done.stderr
    assert len(done.stderr.splitlines()) == 1
