"""The sample of the gates' tests leaves out no mutant and no implementation, and is the same at every run."""

from __future__ import annotations

import functools
import re
import subprocess
import sys

import pytest

from tests.support.places import ROOT
from tests.support.sample import marks

FILES = ("tests/harness/gate/test_mutants.py", "tests/harness/gate/test_gates.py")


def test_each_name_is_tested_in_exactly_one_dtype_and_always_the_same():
    dtypes = ("float32", "float64", "bfloat16", "float16")
    for name in map(str, range(50)):
        taken = [dtype for dtype in dtypes if not marks(name, dtype, dtypes)]
        assert len(taken) == 1
        assert taken == [dtype for dtype in dtypes if not marks(name, dtype, dtypes)]
    assert {dtype for name in map(str, range(50)) for dtype in dtypes if not marks(name, dtype, dtypes)} == set(dtypes)
    assert marks("alone", "float32", ("float32",)) == []


@functools.cache
def collected(*words):
    """The tests of the gates that pytest finds, each with its file."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *FILES, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return [line.partition("::") for line in done.stdout.splitlines() if "::" in line]


def ids(file, *words):
    return {test.rpartition("[")[2].rstrip("]") for where, _, test in collected(*words) if where == file}


@pytest.mark.parametrize("file", FILES)
def test_the_ordinary_suite_meets_every_name_and_nox_gates_every_test(file):
    ordinary, whole = ({one for one in ids(file, *words) if "cuda" not in one} for words in ((), ("--all-gates",)))
    assert set() < ordinary < whole

    def names(found):
        return {one.rpartition("-")[0] for one in found}

    assert names(ordinary) == names(whole)
    assert len(ordinary) < 0.6 * len(whole)


def test_nox_gates_runs_every_file_of_which_the_suite_takes_a_sample():
    sampled = re.compile(r"sample\.marks\(|^def test_\w+\(gate_case", re.MULTILINE)
    files = {
        file.relative_to(ROOT / "tests").as_posix()
        for file in (ROOT / "tests").rglob("test_*.py")
        if sampled.search(file.read_text(encoding="utf-8")) and file.name != "test_sample.py"
    }
    session = (ROOT / "noxfile.py").read_text(encoding="utf-8").partition("def gates(")[2].partition("@nox.session")[0]
    assert {f"tests/{file}" for file in files} >= set(FILES)
    assert {file for file in files if f'"{file}"' not in session} == set()
