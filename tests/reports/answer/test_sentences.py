"""The first screen says what the numbers say: exponents, tallies, contrasts and doubts, each number with its unit."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from harness.results.run import read_run
from harness.results.verdicts_file import Verdict
from reports.answer.doubts import precision_sentence, warnings
from reports.answer.sentences import contrast_sentence, law_sentence, sentences, tiles
from reports.answer.verdicts import verdict_tables
from reports.frame import COLUMNS, frame
from tests.support import runs

BROKEN = re.compile(r"B\.\d|\de[+-]?\d|\bnan\b|\binf\b|None|\d bytes|\d\.\d{5}")


def verdict(implementation, outcome, *, claim="A2", quantity="all", **known):
    fields = {"axis": "n", "expected": 2, "dtype": "float32", "device": "cpu", "direction": "forward"}
    return Verdict(
        claim=claim, implementation=implementation, quantity=quantity, verdict=outcome, **{**fields, **known}
    )


def run_of(path, verdicts, **point):
    record = runs.ok_record("batched", **{"n": 64, "d": 64, "heads": 2, "batch": 1, **point})
    runs.write_run(path / "run", [record], verdicts=verdicts)
    return read_run(path / "run")


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        ({"loop": "confirmed"}, "O(n² d) is confirmed for 1 of 1 implementation."),
        ({"loop": "confirmed", "batched": "consistent"}, "O(n² d) is confirmed for 2 of 2 implementations."),
        (
            {"loop": "refuted", "batched": "confirmed"},
            "O(n² d) is confirmed for 1 of 2 implementations, refuted for loop.",
        ),
        (
            {"loop": "contradicted", "einsum": "refuted", "batched": "inconclusive"},
            (
                "O(n² d) is confirmed for 0 of 3 implementations, refuted for einsum and loop, inconclusive for "
                "batched. Refuted throughout:"
            ),
        ),
        (
            dict.fromkeys(["a", "b", "c", "d", "e"], "inconclusive"),
            "O(n² d) is confirmed for 0 of 5 implementations, inconclusive for a, b, c and 2 others.",
        ),
        (
            dict.fromkeys(["a", "b", "c", "d"], "inconclusive"),
            "O(n² d) is confirmed for 0 of 4 implementations, inconclusive for a, b, c and 1 other.",
        ),
    ],
    ids=["one", "two", "one refuted", "all sorts", "many", "one too many"],
)
def test_outcomes_of_the_law_are_counted(tmp_path, outcomes, words):
    found = law_sentence(run_of(tmp_path, [verdict(name, outcome) for name, outcome in outcomes.items()]))
    assert found.startswith(words.removesuffix(" Refuted throughout:"))
    assert ("Refuted throughout" in found) == (set(outcomes.values()) <= {"refuted", "contradicted"})


def test_a_claim_is_refuted_throughout_only_if_nobody_bears_it_out(tmp_path):
    nobody = [verdict("loop", "refuted", claim="A5"), verdict("batched", "contradicted", claim="A5")]
    assert "Refuted throughout: A5 (" in law_sentence(run_of(tmp_path / "a", nobody))
    somebody = [*nobody, verdict("online", "inconclusive", claim="A5")]
    assert "Refuted throughout" not in law_sentence(run_of(tmp_path / "b", somebody))


def test_a_law_that_only_counts_bear_out_is_said_to_be_so(tmp_path):
    time = verdict("loop", "inconclusive", quantity="time", exponent=1.5, low=1.0, high=2.5)
    by_counts = [verdict("loop", "confirmed"), time]
    assert "by counted operations alone" in law_sentence(run_of(tmp_path / "a", by_counts))
    in_time = [verdict("loop", "confirmed"), time.model_copy(update={"verdict": "consistent"})]
    assert "by counted operations alone" not in law_sentence(run_of(tmp_path / "b", in_time))


def test_the_implementation_quoted_is_a_decided_one(tmp_path):
    open_ = verdict("sdpa-math", "inconclusive", quantity="time", exponent=1.5, low=1.0, high=2.5)
    known = verdict("loop", "consistent", quantity="time", exponent=1.98, low=1.94, high=2.02)
    assert "the time of loop grows as n¹·⁹⁸ (1.94 to 2.02)" in law_sentence(run_of(tmp_path, [open_, known]))


def ok_rows(*rows):
    table = pd.DataFrame(
        [{**dict.fromkeys(COLUMNS), "status": "ok", "problem": "attention", "n": 4096.0, **row} for row in rows]
    )
    return table.astype({"time_s": float, "extra_bytes": float})


@pytest.mark.parametrize(
    ("quick", "slow", "words"),
    [
        (
            (1e-3, 1216512),
            (5.41e-3, 270532608),
            "is 5.41× as fast as batched and takes 1/222 of its extra memory, 1.16 MiB against 258 MiB.",
        ),
        ((1e-3, 0), (2e-3, 270532608), "is 2.00× as fast as batched."),
        ((1e-3, None), (1.0, None), "is 1,000× as fast as batched."),
    ],
    ids=["memory", "no memory at all", "memory unknown"],
)
def test_the_contrast_has_its_factor_and_its_bytes(quick, slow, words):
    rows = [
        {"implementation": name, "time_s": seconds, "extra_bytes": extra}
        for name, (seconds, extra) in (("sdpa-flash", quick), ("batched", slow))
    ]
    assert contrast_sentence(ok_rows(*rows), baseline="batched") == f"At n = 4,096 sdpa-flash {words}"


def test_no_sentence_of_a_run_has_a_broken_number(tmp_path):
    run = read_run(runs.make_run(tmp_path / "run"))
    table = frame(run).assign(run=run.label)
    texts = [*sentences(run, table), precision_sentence(run, table), *warnings(run, table)]
    texts += [f"{tile.value} {tile.label} {tile.remark}" for tile in tiles(run, table)]
    for verdicts in verdict_tables(run):
        texts += [text for row in verdicts.rows for cell in row.cells if cell for text in (*cell.lines, cell.reason)]
    assert len(texts) > 40
    assert [text for text in texts if BROKEN.search(text)] == []


def test_an_interval_with_one_end_is_none(tmp_path):
    half = verdict("batched", "consistent", quantity="time", exponent=2.0, low=1.9)
    assert "grows as n²." in law_sentence(run_of(tmp_path, [half, verdict("batched", "confirmed")]))
