"""Which law holds where: verdicts of several machines beside each other, and those that differ by name."""

from __future__ import annotations

from harness.results.verdicts_file import Verdict
from reports.answer.devices import machines, where_sentence, where_tables
from tests.support import runs
from tests.support.drawn import run_of


def verdict(implementation, outcome, *, claim="A2", exponent=2.0, **changes):
    return Verdict(
        claim=claim, implementation=implementation, quantity="all", verdict=outcome, axis="n", expected=2,
        exponent=exponent, **{"dtype": "float32", "device": "cpu", "direction": "forward", **changes},
    )  # fmt: skip


def on(label, *verdicts):
    return run_of([runs.ok_record()], label=label, verdicts=tuple(verdicts), judged=True)


def test_each_claim_has_a_row_for_each_machine():
    here = on("h100", verdict("loop", "confirmed"), verdict("flash", "confirmed", exponent=1.9))
    there = on("cpu", verdict("loop", "inconclusive", device="cuda:0"), verdict("flash", "confirmed", dtype="float16"))
    tables = where_tables([here, there])
    assert [table.conditions for table in tables] == ["float32, forward", "float16, forward"]
    assert tables[0].columns == ("claim", "on", "flash", "loop")
    assert tables[0].rows == (
        ("A2", "h100", "✓ confirmed n¹·⁹⁰", "✓ confirmed n²"),
        ("A2", "cpu", "–", "? inconclusive n²"),
    )


def test_what_differs_between_machines_is_named_and_what_is_alike_counted():
    here = on("h100", verdict("loop", "confirmed"), verdict("flash", "consistent"))
    there = on("cpu", verdict("loop", "refuted"), verdict("flash", "confirmed"))
    assert where_sentence([here, there]) == (
        "1 of 2 verdicts agrees on all machines; A2 for loop (float32, forward) is confirmed on h100 and "
        "refuted on cpu."
    )
    assert where_sentence([here, on("again", verdict("loop", "confirmed"))]) == (
        "1 of 1 verdict agrees on all machines."
    )


def test_beyond_a_few_the_rest_is_counted():
    names = [f"i{number}" for number in range(6)]
    here = on("a", *(verdict(name, "confirmed") for name in names))
    there = on("b", *(verdict(name, "refuted") for name in names))
    assert where_sentence([here, there]).endswith("; and 3 others differ.")


def test_one_machine_or_none_judged_says_nothing():
    here = on("h100", verdict("loop", "confirmed"))
    assert where_tables([here]) == []
    assert where_sentence([here]) == ""
    assert where_tables([here, on("cpu")]) == []


def test_a_machine_is_named_by_its_device_and_by_its_run_where_several_are_of_one():
    alike = [on("a"), on("b")]
    assert machines(alike) == {"a": "a", "b": "b"}
