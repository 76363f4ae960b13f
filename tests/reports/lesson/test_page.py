"""The lesson's page tells what its run found, each line with its verdicts."""

from __future__ import annotations

import pytest

from harness.lesson import facts
from harness.results.documents import JournalError
from harness.results.reasons import CausalTime, MemoryBeside, TimeLaw
from harness.results.verdicts_file import Verdict
from harness.scaling.reasons import FixedCost
from reports.lesson import page
from tests.support import lessons, runs
from tests.support.drawn import BASE, run_of, table_of, timed


def verdict(implementation, outcome, *, claim="A2", quantity="all", **known):
    fields = {"axis": "n", "expected": 2, "dtype": "float32", "device": "cpu", "direction": "forward"}
    return Verdict(
        claim=claim, implementation=implementation, quantity=quantity, verdict=outcome, **{**fields, **known}
    )


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
def test_a_line_of_the_lesson_gives_its_reason_with_units(reason, words):
    judged = page.group_by_claim([verdict("sdpa-flash", "inconclusive", claim="B5", axis="causal", reason=reason)])
    assert next(line for line in judged if line.line.id == "B5").verdicts == (("sdpa-flash", "inconclusive", words),)


def test_only_the_verdict_over_all_along_a_lines_axis_is_its_own():
    others = [
        verdict("phase/projections", "consistent", claim="A1", quantity="time", reason="of time"),
        verdict("phase/projections", "refuted", claim="A1", axis="width", reason="of width"),
        verdict("d2l", "confirmed", claim="A1", reason="of another"),
    ]
    judged = {one.line.id: one.verdicts for one in page.group_by_claim(others)}
    assert judged["A1, in n"] == ()
    assert judged["A1, in width"] == (("phase/projections", "refuted", "of width"),)


def test_a_line_of_any_axis_takes_the_first():
    judged = page.group_by_claim(
        [verdict("phase/scores", "confirmed", axis=axis, reason=axis) for axis in ("n", "width")]
    )
    assert next(one.verdicts for one in judged if one.line.id == "A2") == (("phase/scores", "confirmed", "n"),)


def attention(implementation, n, seconds, *, extra):
    record = timed(runs.ok_record(implementation, **{**BASE, "n": n}), seconds)
    memory = record.memory.model_copy(update={"peak": record.memory.outputs + extra})
    case = record.case.model_copy(update={"scenario": "tutorial-attention"})
    return record.model_copy(update={"memory": memory, "case": case})


def test_gains_need_both_and_have_times_their_ratio_and_memory():
    records = [
        attention("batched", 128, 4e-3, extra=2**20),
        attention("sdpa-flash", 128, 1e-3, extra=2**10),
        attention("batched", 64, 1e-3, extra=2**18),
    ]
    assert page.gains(table_of(run_of(records))) == (
        ("128", "4.00 ms", "1.00 ms", "4.00×", "1.00 MiB", "1.00 KiB"),
    )  # fmt: skip


def test_work_is_split_with_the_share_of_what_is_quadratic():
    rows = page.work_rows(lessons.lesson())
    assert rows[0] == ("64", "192 FLOP", "128 FLOP", "128 FLOP", "64.0 FLOP", "50 %")
    assert rows[1][-1] == "67 %"


def test_without_timed_steps_there_is_no_crossover():
    assert page.crossover(table_of(run_of([attention("batched", 64, 1e-3, extra=0)]))) is None


def test_a_directory_without_a_lesson_is_refused_in_a_line(tmp_path):
    with pytest.raises(JournalError, match=r"holds no lesson: it has no lesson\.json"):
        page.write(run_of([], path=tmp_path))


def test_a_page_is_written_beside_its_lesson(tmp_path):
    facts.write(lessons.lesson(), tmp_path)
    target = page.write(run_of([attention("batched", 64, 1e-3, extra=0)], path=tmp_path))
    assert target == tmp_path / "lesson.html"
    text = target.read_text(encoding="utf-8")
    assert "FlashAttention makes it faster" in text
    assert "not measured in this run" in text
