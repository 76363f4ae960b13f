"""What fresh memory costs is measured in turn, on the cases that fault it in, and never enters a median."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from harness import allocation, assembly, journal
from harness.policy import AllocationPolicy
from harness.records import Agreement, Case, Counts, Memory, PlannedCase, Preparation, Ran, Round, case_id

ROOT = Path(__file__).resolve().parent.parent
POLICY = AllocationPolicy(rounds=5, call_seconds_at_most=0.1, fresh_share_at_least=0.1)
MEBIBYTE = 2**20


def planned(implementation: str, n: int, *, direction: str = "forward") -> PlannedCase:
    identity = {
        "problem": "attention",
        "point": {"n": n},
        "dtype": "float32",
        "device": "cpu",
        "direction": direction,
        "cache": "hot",
        "implementation": implementation,
    }
    return PlannedCase(case=Case.model_validate({**identity, "id": case_id(**identity), "scenario": "smoke"}))


def prepared(*, peak: int | None = 64 * MEBIBYTE, seconds: float = 0.01) -> Preparation:
    return Preparation(
        agreement=Agreement(passed=True, checks=[]),
        counts=Counts(operations=1, attended=1, ideal_bytes=1),
        memory=Memory(inputs=0, peak=peak),
        ran=Ran(operators={}),
        call_seconds=seconds,
        warm_up_calls=3,
    )


def visit(*, seconds: float = 0.01, faults: float | None = 0.0, index: int = 0) -> Round:
    return Round(index=index, started=0.0, calls_per_sample=1, samples=[seconds] * 3, faults_per_call=faults)


def chosen(*entries: tuple[PlannedCase, Preparation, float]) -> list[PlannedCase]:
    return allocation.choose(
        [case for case, _, _ in entries],
        prepared={case.case.id: known for case, known, _ in entries},
        rounds={case.case.id: [visit(faults=faults)] for case, _, faults in entries},
        policy=POLICY,
    )


ALL_PAGES = 64 * MEBIBYTE / allocation.PAGE_BYTES


def test_the_largest_case_of_each_implementation_that_faults_its_memory_in_is_chosen():
    small, large = planned("batched", 1024), planned("batched", 2048)
    other = planned("einsum", 1024)
    found = chosen(
        (small, prepared(peak=16 * MEBIBYTE), ALL_PAGES / 4),
        (large, prepared(), ALL_PAGES),
        (other, prepared(), ALL_PAGES),
    )
    assert found == [large, other]


@pytest.mark.parametrize(
    ("known", "faults"),
    [
        pytest.param(prepared(), ALL_PAGES / 100, id="its memory stays"),
        pytest.param(prepared(seconds=0.2), ALL_PAGES, id="too long a call"),
        pytest.param(prepared(peak=None), ALL_PAGES, id="peak unknown"),
    ],
)
def test_a_case_with_nothing_to_tell_is_not_chosen(known, faults):
    assert chosen((planned("batched", 2048), known, faults)) == []


def test_only_forward_calls_are_compared():
    assert chosen((planned("batched", 2048, direction="backward"), prepared(), ALL_PAGES)) == []


def test_the_ratio_is_of_neighbours_so_that_drift_cancels():
    drift = [1.0, 1.5, 2.0, 2.5, 3.0]
    returned = [visit(seconds=0.02 * factor, faults=100.0) for factor in drift]
    kept = [visit(seconds=0.01 * factor, faults=1.0) for factor in drift]
    found = allocation.conclude(returned, kept, confidence=0.95)
    assert found.ratio == pytest.approx(2.0)
    assert found.low == pytest.approx(2.0)
    assert found.high == pytest.approx(2.0)
    assert (found.faults_returned, found.faults_kept, found.rounds) == (100.0, 1.0, 5)
    assert (found.returned, found.kept) == pytest.approx((0.04, 0.02))


def test_one_round_has_a_ratio_and_no_interval():
    found = allocation.conclude([visit(seconds=0.03)], [visit(seconds=0.01)], confidence=0.95)
    assert found.ratio == pytest.approx(3.0)
    assert found.low is None
    assert found.high is None


def test_nothing_is_compared_where_the_allocator_is_another():
    assert "pool" in allocation.why_not("cuda:0", {})
    reason = allocation.why_not("cpu", {"MALLOC_MMAP_MAX_": "0"})
    assert "glibc" in reason or "MALLOC_MMAP_MAX_" in reason
    if platform.libc_ver()[0] == "glibc":
        assert allocation.why_not("cpu", {"HOME": "/"}) == ""


def run(directory: Path, *arguments: str) -> None:
    subprocess.run(
        [
            *(sys.executable, str(ROOT / "attnbench.py"), "run", "sequence-length", "--impl", "batched"),
            *("-a", "n=2048", "--time-budget", "5s", "-o", str(directory), *arguments),
        ],
        check=True,
        capture_output=True,
        cwd=ROOT,
        timeout=280,
        env={name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
        | {"XDG_RUNTIME_DIR": str(directory.parent)},
    )


@pytest.mark.skipif(bool(allocation.why_not("cpu", {})), reason=f"no comparison here: {allocation.why_not('cpu', {})}")
def test_a_run_compares_the_two_and_keeping_memory_ends_the_faults(tmp_path):
    # 2048^2 scores of two heads take 32 MiB, which glibc maps anew at each call.
    run(tmp_path / "run")
    (record,) = assembly.records(tmp_path / "run")
    found = record.allocation
    assert found is not None
    assert found.faults_returned * allocation.PAGE_BYTES > 16 * MEBIBYTE
    assert found.faults_kept < 0.5 * found.faults_returned
    assert record.time is not None
    assert record.time.rounds >= 5
    # The kept worker's samples are in no round.
    assert len(journal.read(tmp_path / "run").rounds[record.case.id]) == record.time.rounds


@pytest.mark.skipif(bool(allocation.why_not("cpu", {})), reason=f"no comparison here: {allocation.why_not('cpu', {})}")
def test_a_run_may_keep_its_memory_throughout(tmp_path):
    run(tmp_path / "run", "--keep-memory")
    (record,) = assembly.records(tmp_path / "run")
    assert record.allocation is None
    # While the heap still grows a round may touch new pages; the default touches 32 MiB at every call.
    visits = journal.read(tmp_path / "run").rounds[record.case.id]
    assert min((visit.faults_per_call or 0.0) for visit in visits) * allocation.PAGE_BYTES < MEBIBYTE
    environment = journal.read_environment(tmp_path / "run")
    assert environment is not None
    assert environment.stable["variables"]["MALLOC_MMAP_MAX_"] == "0"
    plan = assembly.read_plan(tmp_path / "run")
    assert plan is not None
    assert plan.keep_memory
