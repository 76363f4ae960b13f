"""A run's result fits a terminal: a line for each implementation, its numbers with units."""

from __future__ import annotations

import pytest
from rich.console import Console

from harness.results.run import read_run
from harness.results.verdicts_file import Verdict
from reports.terminal import results
from reports.terminal.results import HEADINGS, NARROW, lines, table_of, verdicts_of
from tests.support import runs
from tests.support.drawn import BASE, run_of, swept


def test_an_interval_of_decades_is_called_unresolved():
    assert results.interval(4e-9, 0.275) == "unresolved"
    assert results.interval(None, None) == "none"
    assert results.interval(0.9e-3, 1.1e-3) == "900 µs to 1.10 ms"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "example", sweeps=("sequence-length", "batch"))


def test_the_terminal_lines_put_the_quickest_first(run):
    found = [line for line in lines(load_run(run)) if line.scenario == "sequence-length"]
    assert found[0].implementation == "sdpa-flash"
    assert found[-1].implementation == "loop"


def load_run(path):

    return read_run(path)


def test_the_result_table_fits_a_terminal_of_eighty_columns(run):

    run = load_run(run)
    console = Console(width=80)
    with console.capture() as captured:
        console.print(table_of(run, width=console.width))
    printed = captured.get().splitlines()
    assert len(printed) == 1 + len(lines(run))
    assert "throughput" in printed[0]


def printed(table, *, width=200):
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table)
    return captured.get().splitlines()


def test_a_line_is_of_the_largest_case_with_its_numbers():
    found = lines(run_of(swept("batched", sizes=(64, 256))))
    assert [(line.implementation, line.point) for line in found] == [("batched", "n 256, d 64, heads 2, batch 1")]
    (line,) = found
    assert (line.extra_memory, line.speed_up) == ("1.19 MiB", "–")  # without a plan there is no baseline
    assert line.throughput.endswith("FLOP/s")
    assert " to " in line.interval


def test_what_is_absent_is_a_dash():
    (record,) = swept("batched", sizes=(64,))
    bare = record.model_copy(update={"counts": None, "memory": None, "agreement": None})
    (line,) = lines(run_of([bare]))
    assert (line.throughput, line.extra_memory, line.error) == ("–", "–", "–")


def test_a_run_of_failures_has_no_line():
    assert lines(run_of([runs.failed_record("loop", "oom", "too much", **{**BASE, "n": 64})])) == []


def test_a_wide_terminal_gets_every_column_and_a_narrow_one_the_few():
    run = run_of(swept("batched", "loop", sizes=(64,)))
    assert [str(column.header) for column in table_of(run, width=200).columns] == list(HEADINGS)
    assert [str(column.header) for column in table_of(run, width=80).columns] == list(NARROW)


def test_a_scenario_is_named_once():
    shown = printed(table_of(run_of(swept("batched", "loop", sizes=(64,)))))
    assert [row.startswith("sequence-length") for row in shown[1:]] == [True, False]


def judged(claim, implementation, verdict, **known):
    fields = {"quantity": "all", "axis": "n", "dtype": "float32", "direction": "forward", "low": 2.0, "high": 2.0}
    return Verdict(claim=claim, implementation=implementation, verdict=verdict, **{**fields, **known})


def test_verdicts_are_gathered_by_claim_outcome_and_exponent():
    found = [
        judged("A2", "batched", "confirmed"),
        judged("A2", "loop", "confirmed"),
        judged("A2", "online", "confirmed", low=1.9, high=2.1),
        judged("A5", "loop", "refuted"),
        judged("A5", "loop", "consistent", quantity="time"),
    ]
    shown = printed(verdicts_of(run_of([], verdicts=tuple(found))))
    assert [" ".join(row.split()) for row in shown[1:]] == [
        "A2 confirmed batched, loop n: 2.00; online n: 1.90 to 2.10",
        "A5 refuted loop n: 2.00",
    ]


def test_a_dtype_is_named_where_there_are_several():
    found = [judged("A2", "batched", "confirmed"), judged("A2", "batched", "refuted", dtype="bfloat16")]
    shown = "\n".join(printed(verdicts_of(run_of([], verdicts=tuple(found)))))
    assert "batched (float32)" in shown
    assert "batched (bfloat16)" in shown
