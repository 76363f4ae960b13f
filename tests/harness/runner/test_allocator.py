"""What fresh memory costs is measured in turn, on the cases that fault it in, and never enters a median."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

import pytest

from harness.policy import DEFAULT, AllocationPolicy
from harness.results import journal
from harness.results.run import read_run
from harness.runner import allocator
from harness.runner.execute import plan_and_execute
from harness.runner.selection import Request, Selection, TimeLimits
from reports.terminal.progress import Lines, Quiet
from scenarios import catalog

if TYPE_CHECKING:
    from pathlib import Path

WHY_NOT = allocator.why_not("cpu", os.environ)
needs_glibc = pytest.mark.skipif(bool(WHY_NOT), reason=f"no comparison here: {WHY_NOT}")
MEBIBYTE = 2**20
# Ends a case after the fewest rounds, a comparison after two, and ceilings after the fewest calls.
TIMING = DEFAULT.timing.model_copy(update={"precision": 0.5, "case_seconds": 0.1})
RUN = DEFAULT.run.model_copy(update={"ceiling_seconds": 0.1, "ceiling_again_seconds": 0.1})
SHORT = DEFAULT.model_copy(update={"timing": TIMING, "run": RUN, "allocation": AllocationPolicy(rounds=2)})
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def test_nothing_is_compared_where_the_allocator_is_another():
    assert "pool" in allocator.why_not("cuda:0", {})
    reason = allocator.why_not("cpu", {"MALLOC_MMAP_MAX_": "0"})
    assert "glibc" in reason or "MALLOC_MMAP_MAX_" in reason
    if platform.libc_ver()[0] == "glibc":
        assert allocator.why_not("cpu", {"HOME": "/"}) == ""


def run(directory: Path, *, n: int = 64, fresh_memory: bool = False, keep_memory: bool = True) -> None:
    request = Request(
        scenarios=(catalog.find("sequence-length"),),
        selection=Selection(implementations=("batched",), axes={"n": [n]}),
        device="cpu",
        policy=SHORT,
        threads=1,
        keep_memory=keep_memory,
    )
    limits = TimeLimits(budget=5.0, fresh_memory=fresh_memory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(directory.parent))
        plan_and_execute(request, directory, progress=Quiet(Lines()), limits=limits)


def peak_faults(directory: Path, record) -> list[float]:
    visits = journal.read(directory).rounds[record.case.id]
    return [(visit.faults_per_call or 0.0) * PAGE_BYTES for visit in visits]


@needs_glibc
def test_a_run_keeps_its_memory_and_compares_with_a_process_that_does_not(tmp_path):
    # 2048^2 scores of two heads take 32 MiB and a header, which glibc maps anew at each call.
    run(tmp_path / "run", n=2048, fresh_memory=True)
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
    run(tmp_path / "run", keep_memory=False)
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
    run(tmp_path / "run")
    (record,) = read_run(tmp_path / "run").records
    assert record.allocation is None
    environment = journal.read_environment(tmp_path / "run")
    assert environment is not None
    assert environment.stable["variables"] == {"MALLOC_ARENA_MAX": "1"}
