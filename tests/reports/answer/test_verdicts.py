"""A table of verdicts has a cell for each claim and implementation, with its figures and its reason."""

from __future__ import annotations

import pytest

from harness.results.reasons import CausalTime, CompareLarger, MemoryBeside, TimeLaw
from harness.results.run import read_run
from harness.results.verdicts_file import Verdict
from harness.scaling.reasons import FixedCost
from reports.answer.verdicts import claim_texts, deciding, verdict_tables
from tests.support import runs
from tests.support.drawn import run_of as in_memory


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
    (one,) = verdict_tables(run_of(tmp_path, [found]))[0].rows[0].cells[0].along["n"]
    assert (one.quantity, one.figure, one.span) == ("time", "0.500×", "0.48 to 0.52")


def table_of(*verdicts):
    (found,) = verdict_tables(in_memory([], verdicts=verdicts))
    return found


def test_claims_are_rows_and_implementations_columns_in_order_of_their_names():
    found = table_of(
        verdict("loop", "confirmed", claim="B1"), verdict("batched", "refuted"), verdict("loop", "consistent"),
    )  # fmt: skip
    assert found.implementations == ("batched", "loop")
    assert [row.claim for row in found.rows] == ["A2", "B1"]
    assert [cell and cell.mark for row in found.rows for cell in row.cells] == ["✗", "≈", None, "✓"]


def test_the_verdict_over_all_decides_a_cell_and_parts_stand_by_axis():
    row = table_of(
        verdict("loop", "confirmed", quantity="operations", exponent=2.0, low=2.0, high=2.0),
        verdict("loop", "confirmed", quantity="operations", axis="d", exponent=1.0, low=1.0, high=1.0),
        verdict("loop", "inconclusive", quantity="time", exponent=1.4, low=1.1, high=2.1),
        verdict("loop", "confirmed", exponent=2.0, reason="as counted"),
    ).rows[0]  # fmt: skip
    (cell,) = row.cells
    assert (cell.verdict, cell.mark, cell.reason) == ("confirmed", "✓", "as counted")
    assert row.axes == ("n", "d")
    assert [(one.mark, one.quantity, one.figure, one.span) for one in cell.along["n"]] == [
        ("✓", "operations", "n²", ""),
        ("?", "time", "n¹·⁴⁰", "1.10 to 2.10"),
    ]
    assert [one.figure for one in cell.along["d"]] == ["d"]


def test_a_verdict_alone_stands_for_itself():
    (alone,) = table_of(verdict("loop", "refuted")).rows[0].cells[0].along["n"]
    assert (alone.quantity, alone.verdict) == ("", "refuted")
    parts = [verdict("loop", "consistent", quantity="time"), verdict("loop", "confirmed", quantity="memory")]
    assert deciding(parts) is parts[0]
    assert deciding([*parts, verdict("loop", "refuted")]).verdict == "refuted"


def test_devices_dtypes_and_directions_have_tables_of_their_own():
    found = verdict_tables(
        in_memory([], verdicts=(verdict("loop", "confirmed"), verdict("loop", "refuted", dtype="bfloat16", device="")))
    )
    assert [table.conditions for table in found] == ["cpu, float32, forward", "bfloat16, forward"]
    assert verdict_tables(in_memory([])) == []


def test_halves_of_a_claim_that_say_different_things_are_rows_of_their_own():
    found = table_of(verdict("loop", "confirmed", says="linear in n^1"), verdict("loop", "refuted", says="linear in d"))
    assert [row.says for row in found.rows] == ["linear in d", "linear in n¹"]


def test_what_a_claim_says_is_in_the_plan_where_an_old_verdict_lacks_it(tmp_path):
    run = run_of(tmp_path, [verdict("batched", "confirmed")])
    assert set(claim_texts(run)) == {"A2", "A5", "B1", "B2"}
    assert verdict_tables(run)[0].rows[0].says.startswith("attention costs O(n² k d)")
    assert claim_texts(in_memory([])) == {}
