"""The benchmarks for pytest-benchmark: only when asked for, with facts beside the times, never of a wrong answer."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.places import ROOT

WRONG = """
from attnbench import register


@register(problem="attention", name="halved")
def halved(q, k, v, *, causal=False, scale=None, valid_lens=None):
    return 0.5 * (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v
"""


def run(*arguments):
    command = [sys.executable, "-m", "pytest", "tests/bench", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def benchmarked(tmp_path_factory):
    """What pytest says and writes where every implementation is benchmarked at its smallest size."""
    out = tmp_path_factory.mktemp("benchmarks") / "times.json"
    done = run(
        "--benchmark-only",
        f"--benchmark-json={out}",
        "--benchmark-max-time=0.01",
        "--benchmark-min-rounds=2",
        "-k",
        "n16",
    )
    assert done.returncode == 0, done.stdout
    return done.stdout, json.loads(out.read_text())["benchmarks"]


def test_benchmarks_carry_operations_memory_and_agreement(benchmarked):
    benchmarks = {entry["extra_info"]["implementation"]: entry for entry in benchmarked[1]}
    assert {"loop", "batched", "online", "sdpa-auto"} <= set(benchmarks)
    for entry in benchmarks.values():
        info = entry["extra_info"]
        assert info["operations"] == 4 * 2 * 16 * 16 * 8  # 4 heads n^2 d
        assert info["agreement_ratio"] <= 1
        assert info["rows_checked"] == 16
        assert entry["stats"]["median"] > 0
    assert benchmarks["batched"]["extra_info"]["predicted_extra_bytes"] > 0
    assert benchmarks["online"]["extra_info"]["predicted_extra_bytes"] == 0


def test_a_wrong_answer_is_not_benchmarked(tmp_path):
    kernel, out = tmp_path / "kernel.py", tmp_path / "times.json"
    kernel.write_text(WRONG)
    done = run(
        "--benchmark-only",
        f"--benchmark-json={out}",
        "--benchmark-max-time=0.01",
        "--benchmark-min-rounds=2",
        f"--impl-file={kernel}",
        "-k",
        "n16 and (halved or batched)",
    )
    assert done.returncode == 1
    assert "disagrees with the oracle" in done.stdout
    names = [entry["extra_info"]["implementation"] for entry in json.loads(out.read_text())["benchmarks"]]
    assert names == ["batched"]


def test_without_being_asked_for_nothing_is_timed(benchmarked):
    done = run("-k", "n16 and batched")
    assert done.returncode == 0, done.stdout
    assert "benchmark" not in done.stdout
    assert "benchmark" in benchmarked[0]
