"""Two runs of the same cases, made once: the second is slower."""

from __future__ import annotations

import pytest

from tests.support import runs

SAME = {"sweeps": ("sequence-length",), "failures": False}


@pytest.fixture(scope="package")
def base(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("base") / "before", seed=1, **SAME)


@pytest.fixture(scope="package")
def slower(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("slower") / "after", seed=2, speed=0.7, **SAME)
