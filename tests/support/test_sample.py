"""The sample of the gates' tests leaves out no mutant and no implementation, and is the same at every run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.places import ROOT
from tests.support.sample import marks


def test_each_name_is_tested_in_exactly_one_dtype_and_always_the_same():
    dtypes = ("float32", "float64", "bfloat16", "float16")
    for name in map(str, range(50)):
        taken = [dtype for dtype in dtypes if not marks(name, dtype, dtypes)]
        assert len(taken) == 1
        assert taken == [dtype for dtype in dtypes if not marks(name, dtype, dtypes)]
    assert {dtype for name in map(str, range(50)) for dtype in dtypes if not marks(name, dtype, dtypes)} == set(dtypes)
    assert marks("alone", "float32", ("float32",)) == []


def collected(*words):
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return {line.rpartition("[")[2].rstrip("]") for line in done.stdout.splitlines() if "::" in line}


@pytest.mark.parametrize("file", ["test_mutants.py", "test_gates.py"])
def test_the_ordinary_suite_meets_every_name_and_nox_gates_every_test(file):
    path = f"tests/harness/gate/{file}"
    ordinary, whole = (
        {one for one in collected(path, *words) if "cuda" not in one} for words in ((), ("--all-gates",))
    )
    assert ordinary < whole

    def names(ids):
        return {one.rpartition("-")[0] for one in ids}

    assert names(ordinary) == names(whole)
    assert len(ordinary) < 0.6 * len(whole)
