"""The first screen says what the numbers say: a sentence, a row for each dtype, doubts, each number with its unit."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from harness.results.run import read_run
from reports.answer.caveat import caveat
from reports.answer.doubts import precision_sentence, warnings
from reports.answer.sentences import law_sentence, rows, sentences
from reports.answer.tiles import tiles
from reports.answer.verdicts import verdict_tables
from reports.frame import frame
from tests.support import runs
from tests.support.drawn import run_of, swept, table_of

BROKEN = re.compile(r"B\.\d|\de[+-]?\d|\bnan\b|\binf\b|None|\d bytes|\d\.\d{5}")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return read_run(runs.make_run(tmp_path_factory.mktemp("runs") / "run"))


def test_a_run_is_answered_in_two_sentences(run):
    law, fastest = sentences(run, table_of(run))
    assert law == (
        "Yes: the counted operations of all 7 implementations grow exactly as n² d; measured time agrees for 6 of 7 "
        "implementations (n¹·⁹⁸ d⁰·⁹⁷) and is inconclusive for loop."
    )
    assert fastest.startswith("At n = 4,096 sdpa-flash is fastest (sdpa-auto within 10 %): ")


def test_a_run_that_is_not_judged_says_so(run):
    assert "not judged yet" in law_sentence(replace(run, judged=False), table_of(run))


@pytest.mark.parametrize(
    ("sizes", "words"),
    [((64,), "This run can't tell how cost grows: it has one size, n = 64."), ((64, 128), "This run judged no law")],
    ids=["one size", "several"],
)
def test_a_run_without_a_law_says_why(sizes, words):
    bare = run_of(swept("batched", sizes=sizes), judged=True)
    assert law_sentence(bare, table_of(bare)).startswith(words)


def test_a_run_that_timed_nothing_does_not_claim_to_have_times():
    failed = run_of([runs.failed_record("loop", "oom", "too much", n=64, d=64, heads=2, batch=1)], judged=True)
    assert law_sentence(failed, table_of(failed)) == "This run can't tell how cost grows: no case was timed."


def test_several_dtypes_have_a_row_each_and_one_has_none(run):
    assert rows(run, table_of(run)) == []
    half = [
        record.model_copy(
            update={"case": record.case.model_copy(update={"dtype": "bfloat16", "id": f"h{record.case.id}"})}
        )
        for record in run.records
    ]
    both = replace(run, records=(*run.records, *half))
    first, second = rows(both, table_of(both))
    assert (first.where, first.counted, first.timed) == ("float32", "n² d for 7 of 7", "agrees for 6 of 7, n¹·⁹⁸")
    assert (second.where, second.counted, second.timed) == ("bfloat16", "–", "–")
    assert first.fastest == second.fastest


def test_no_sentence_of_a_run_has_a_broken_number(run):
    table = frame(run).assign(run=run.label)
    texts = [*sentences(run, table), precision_sentence(run, table), *warnings(run, table), caveat(run, table)]
    texts += [f"{tile.value} {tile.label} {tile.remark}" for tile in tiles(run, table)]
    for verdicts in verdict_tables(run):
        for cell in (cell for row in verdicts.rows for cell in row.cells if cell):
            texts += [cell.reason, *(f"{one.figure} {one.span}" for found in cell.along.values() for one in found)]
    assert len(texts) > 40
    assert [text for text in texts if BROKEN.search(text)] == []
