"""A table of verdicts has a cell for each claim and implementation, with its figures and its reason."""

from __future__ import annotations

import pytest

from harness.results.reasons import CausalTime, CompareLarger, MemoryBeside, TimeLaw
from harness.results.run import read_run
from harness.results.verdicts_file import Verdict
from harness.scaling.reasons import FixedCost
from reports.answer.verdicts import verdict_tables
from tests.support import runs


def verdict(implementation, outcome, *, claim="A2", quantity="all", **known):
    fields = {"axis": "n", "expected": 2, "dtype": "float32", "device": "cpu", "direction": "forward"}
    return Verdict(
        claim=claim, implementation=implementation, quantity=quantity, verdict=outcome, **{**fields, **known}
    )


def run_of(path, verdicts, **point):
    record = runs.ok_record("batched", **{"n": 64, "d": 64, "heads": 2, "batch": 1, **point})
    runs.write_run(path / "run", [record], verdicts=verdicts)
    return read_run(path / "run")


REASONS = [
    (
        CausalTime(n=2048, ratio=0.61, low=0.58, high=0.64),
        "at n = 2048 a causal call takes 0.61 of the time of a full one (0.58 to 0.64)",
    ),
    (
        MemoryBeside(n=2048, extra_bytes=1216512, baseline="batched", baseline_bytes=270532608),
        "at n = 2048 it takes 1.16 MiB of extra memory, batched 258 MiB",
    ),
    (
        TimeLaw(
            axis="n",
            law=FixedCost(cost=0.000248, smallest=256, share_at_smallest=0.16, largest=1048576, share_at_largest=0.001),
        ),
        "a fixed cost of 248 µs hides the law: it is 16 % of the cost at 256 and 0 % at 1048576",
    ),
]


@pytest.mark.parametrize(("reason", "words"), REASONS, ids=[reason.kind for reason, _ in REASONS])
def test_a_cell_of_the_verdict_table_gives_its_reason_with_units(tmp_path, reason, words):
    run = run_of(tmp_path, [verdict("batched", "inconclusive", reason=reason, to_decide=CompareLarger(precision=0.01))])
    cell = verdict_tables(run)[0].rows[0].cells[0]
    assert cell.reason == f"{words}; to decide, compare at a larger n, to a precision of 1 %"


def test_a_ratio_is_a_factor_and_no_exponent(tmp_path):
    found = verdict(
        "batched", "consistent", quantity="time", form="ratio", expected=None, exponent=0.5, low=0.48, high=0.52
    )
    assert verdict_tables(run_of(tmp_path, [found]))[0].rows[0].cells[0].lines == ("time 0.500× (0.48 to 0.52)",)
