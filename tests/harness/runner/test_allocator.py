"""What fresh memory costs is measured in turn, on the cases that fault it in, and never enters a median."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.policy import AllocationPolicy
from harness.results import journal
from harness.results.run import read_run
from harness.runner import allocator
from tests.support.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

WHY_NOT = allocator.why_not("cpu", os.environ)
needs_glibc = pytest.mark.skipif(bool(WHY_NOT), reason=f"no comparison here: {WHY_NOT}")
MEBIBYTE = 2**20
# Ends a case after the fewest rounds.
SHORT = ("--precision", "50%")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def test_nothing_is_compared_where_the_allocator_is_another():
    assert "pool" in allocator.why_not("cuda:0", {})
    reason = allocator.why_not("cpu", {"MALLOC_MMAP_MAX_": "0"})
    assert "glibc" in reason or "MALLOC_MMAP_MAX_" in reason
    if platform.libc_ver()[0] == "glibc":
        assert allocator.why_not("cpu", {"HOME": "/"}) == ""


def run(directory: Path, *arguments: str) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "attnbench", "run", "sequence-length", "--impl", "batched"),
            *("-a", "n=2048", "--time-budget", "5s", "-o", str(directory), *arguments),
        ],
        check=True,
        capture_output=True,
        cwd=ROOT,
        timeout=280,
        env=os.environ | {"XDG_RUNTIME_DIR": str(directory.parent)},
    )


def peak_faults(directory: Path, record) -> list[float]:
    visits = journal.read(directory).rounds[record.case.id]
    return [(visit.faults_per_call or 0.0) * PAGE_BYTES for visit in visits]


@needs_glibc
def test_a_run_keeps_its_memory_and_compares_with_a_process_that_does_not(tmp_path):
    # 2048^2 scores of two heads take 32 MiB and a header, which glibc maps anew at each call.
    run(tmp_path / "run", "--fresh-memory")
    (record,) = read_run(tmp_path / "run").records
    found = record.allocation
    (known,) = journal.read(tmp_path / "run").prepared.values()
    if known.call_seconds > AllocationPolicy().call_seconds_at_most:
        pytest.skip(f"on so busy a machine a call takes {known.call_seconds:.2g} s, and is left out")
    assert found is not None
    assert found.faults_returned * PAGE_BYTES > 16 * MEBIBYTE
    assert found.faults_kept < 0.5 * found.faults_returned
    assert record.time is not None
    # The other process's samples are in no round, and while the heap still grows a round may touch new pages.
    assert len(peak_faults(tmp_path / "run", record)) == record.time.rounds
    assert min(peak_faults(tmp_path / "run", record)) < MEBIBYTE
    environment = journal.read_environment(tmp_path / "run")
    assert environment is not None
    assert environment.stable["variables"]["MALLOC_MMAP_MAX_"] == "0"


@needs_glibc
def test_a_run_may_leave_the_allocator_alone(tmp_path):
    run(tmp_path / "run", "--allocator", "system", *SHORT)
    (record,) = read_run(tmp_path / "run").records
    assert record.allocation is None
    environment = journal.read_environment(tmp_path / "run")
    assert environment is not None
    assert "MALLOC_MMAP_MAX_" not in environment.stable["variables"]
    plan = journal.read_plan(tmp_path / "run")
    assert plan is not None
    assert not plan.keep_memory


@needs_glibc
def test_an_allocator_that_the_user_chose_stands(tmp_path, monkeypatch):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    run(tmp_path / "run", *SHORT)
    (record,) = read_run(tmp_path / "run").records
    assert record.allocation is None
    environment = journal.read_environment(tmp_path / "run")
    assert environment is not None
    assert environment.stable["variables"] == {"MALLOC_ARENA_MAX": "1"}
