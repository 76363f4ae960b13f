"""A covering array holds every combination that it promises, in few rows, and is the same everywhere."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from impls.attention._probes import OPTIONS, TOGETHER
from impls.covering import cover


@pytest.mark.parametrize("strength", [1, 2, 3])
def test_every_combination_occurs(strength):
    options = {"a": (1, 2, 3), "b": ("x", "y"), "c": (None, 0.5), "d": (False, True)}
    rows = cover(options, strength=strength)
    assert len(rows) < 3 * 2 * 2 * 2
    for names in itertools.combinations(options, strength):
        seen = {tuple(row[name] for name in names) for row in rows}
        assert seen == set(itertools.product(*(options[name] for name in names)))


def test_the_same_rows_come_in_every_process():
    code = f"from impls.covering import cover; print(cover({dict(OPTIONS)!r}, more={TOGETHER!r}))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {f"{cover(OPTIONS, more=TOGETHER)}\n"}
