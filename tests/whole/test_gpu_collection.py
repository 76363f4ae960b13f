"""What a GPU machine needs to run the tests that are for it: the runtime dependencies, pytest, and no advice."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import warnings

import pytest

from tests.support.places import ROOT

# Modules that packages bring whose names differ.
MODULES = {"import-linter": "importlinter", "axe-playwright-python": "axe_playwright_python", "big-O": "big_o"}
FOR_A_GPU = re.compile(r"^@pytest\.mark\.gpu$|^def test_\w+\(gate_case", re.MULTILINE)
HIDING = """
import sys

HIDDEN = {hidden!r}


class Hiding:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        return None


sys.meta_path.insert(0, Hiding())
"""


def absent() -> set[str]:
    """Return the modules that a machine with the runtime dependencies and pytest does not have."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    names = {re.split(r"[<>=~! ]", wanted)[0] for group in groups.values() for wanted in group}
    stubs = {name for name in names if name.endswith("-stubs") or name.startswith("types-")}
    return {MODULES.get(name, name.replace("-", "_")) for name in names - stubs - {"pytest"}}


def collect(folder, *arguments):
    """Collect tests as on such a machine: what is absent there can't be imported."""
    (folder / "hiding.py").write_text(HIDING.format(hidden=sorted(absent())), encoding="utf-8")
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import hiding, pytest\n"
        "sys.exit(pytest.main(['-p', 'no:cacheprovider', '--collect-only', '-q', *sys.argv[1:]]))"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "HOME": str(folder)},
    )


def test_what_is_hidden_is_what_the_other_tests_need():
    assert {"hypothesis", "jsonschema", "pytest_benchmark", "pytest_timeout", "playwright", "nox"} <= absent()


def test_tests_for_a_gpu_are_collected_with_pytest_alone(tmp_path):
    done = collect(tmp_path, "-m", "gpu")
    assert done.returncode == pytest.ExitCode.OK, done.stdout[-3000:] + done.stderr[-1000:]
    found = {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}
    marked = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "tests").rglob("test_*.py")
        if FOR_A_GPU.search(file.read_text(encoding="utf-8"))
    }
    assert len(marked) >= 7
    assert found == marked


def test_others_do_need_more(tmp_path):
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    needing = next(file for file in files if "\nimport jsonschema\n" in file.read_text(encoding="utf-8"))
    done = collect(tmp_path, str(needing))
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert "No module named 'jsonschema'" in done.stdout


def test_the_compilers_advice_to_allow_tf32_fails_no_test():
    # torch/_inductor/compile_fx.py gives it at the first compilation on a GPU from compute capability 8.0 on.
    warnings.warn("TensorFloat32 tensor cores for float32 matrix multiplication available", UserWarning, stacklevel=1)
    with pytest.raises(UserWarning, match="another"):
        warnings.warn("another", UserWarning, stacklevel=1)
