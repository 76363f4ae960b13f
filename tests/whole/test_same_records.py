"""A run today gives the records that a stored run of an older version has, but for its times."""

from __future__ import annotations

import pytest

from harness.results.run import Run, read_run
from tests.support.commands import in_process
from tests.support.places import STORED

pytestmark = pytest.mark.usefixtures("no_page")

# Errors in float32 move in their last digits with the processor's instructions.
SAME_ERROR = 0.25


@pytest.fixture(scope="module")
def before() -> Run:
    return read_run(STORED / "smoke")


@pytest.fixture(scope="module")
def now(before, tmp_path_factory) -> Run:
    """Run what the stored run ran, with fewer rounds."""
    directory = tmp_path_factory.mktemp("same") / "run"
    names = sorted({record.case.implementation for record in before.records})
    chosen = [argument for name in names for argument in ("--impl", name)]
    # PyTorch's fused kernel has scratch memory for each thread.
    chosen += ["--threads", str(before.plan.threads or 2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("lock")))
        done = in_process("run", "smoke", "--fast", "--device", "cpu", *chosen, "-o", directory)
    # On a busy machine a ceiling may be measured so low that a case is called implausible; its record is still there.
    assert done.exit_code in {0, 3}, done.output
    return read_run(directory)


def by_id(run: Run) -> dict:
    return {record.case.id: record for record in run.records}


def test_the_cases_are_the_same(before, now):
    assert set(by_id(now)) == set(by_id(before))
    assert {key: record.case for key, record in by_id(now).items()} == {
        key: record.case for key, record in by_id(before).items()
    }


def test_statuses_and_checks_are_the_same(before, now):
    for key, old in by_id(before).items():
        new = by_id(now)[key]
        assert new.status in {old.status, "invalid"}, new.reason
        if old.agreement is None:
            assert new.agreement is None
            continue
        assert [(check.name, check.passed) for check in new.agreement.checks] == [
            (check.name, check.passed) for check in old.agreement.checks
        ]
        for check, known in zip(new.agreement.checks, old.agreement.checks, strict=True):
            assert (check.error is None) == (known.error is None)
            # The check after timing looks at a quarter of the rows: what is largest among them is no larger.
            more = 2.0 if check.name.endswith("rms") else 1.0 + SAME_ERROR
            assert known.error is None or check.error <= more * known.error


def test_counts_and_memory_are_the_same(before, now):
    for key, old in by_id(before).items():
        new = by_id(now)[key]
        assert new.counts == old.counts
        if old.memory is not None:
            assert (new.memory.inputs, new.memory.outputs, new.memory.peak, new.memory.predicted) == (
                old.memory.inputs,
                old.memory.outputs,
                old.memory.peak,
                old.memory.predicted,
            )
