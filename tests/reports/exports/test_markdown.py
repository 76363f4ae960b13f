"""A summary in Markdown says the answer, its doubts and what failed, whatever names hold."""

from __future__ import annotations

from harness.results.run import read_run
from reports.exports.markdown import FAILURES_AT_MOST, markdown
from tests.support import run_verdicts, runs
from tests.support.drawn import BASE, run_of, swept


def test_markdown_escapes_what_comes_from_outside(tmp_path):
    record = runs.failed_record("bad|<b>", "crashed", "a | b <script>", n=64)
    runs.write_run(tmp_path / "run", [record], judged=False)
    text = markdown([read_run(tmp_path / "run")])
    assert "<script>" not in text
    assert "bad\\|&lt;b&gt;" in text


def test_an_inconclusive_exponent_is_not_quoted_as_a_law(tmp_path):
    record = runs.ok_record("loop", n=64, d=64, heads=2, batch=1)
    verdicts = [
        run_verdicts._verdict(
            "A2", "loop", "time", "inconclusive", axis="n", expected=2, exponent=1.9, low=1.05, high=2.49
        ),
        run_verdicts._verdict(
            "A2", "loop", "all", "inconclusive", axis="n", expected=2, exponent=1.9, reason="too few sizes"
        ),
    ]
    runs.write_run(tmp_path / "run", [record], verdicts=verdicts)
    text = markdown([read_run(tmp_path / "run")])
    assert "grows as" not in text
    assert "**Undecided: measured time is inconclusive (about n¹·⁹⁰).**" in text


def test_a_run_has_its_answer_its_results_and_what_failed():
    failed = [runs.failed_record("loop", "predicted_oom", "r" * 200, **{**BASE, "n": n}) for n in (64, 128)]
    text = markdown([run_of([*swept("batched", sizes=(256,)), *failed], label="mine")])
    assert text.startswith("## attnbench: mine\n\n**The scaling claims are not judged yet")
    assert "### Largest timed case of each implementation" in text
    assert f"| predicted oom | loop | 2 | {'r' * 160} … |" in text
    assert "Doubts about this measurement:" in text


def test_every_row_has_as_many_cells_as_its_heading():
    failed = runs.failed_record("lo|op", "crashed", "a | b", **{**BASE, "n": 64})
    text = markdown([run_of([*swept("batched", "online", sizes=(256,)), failed])])
    tables = [block.split("\n") for block in text.strip().split("\n\n") if block.startswith("|")]
    assert len(tables) == 2
    for rows in tables:
        assert len({row.replace("\\|", "").count("|") for row in rows}) == 1


def test_kinds_of_failures_beyond_a_bound_are_counted():
    failed = [
        runs.failed_record(f"kernel-{k}", "crashed", "why", **{**BASE, "n": 64}) for k in range(FAILURES_AT_MOST + 3)
    ]
    text = markdown([run_of(failed)])
    assert text.count("| crashed |") == FAILURES_AT_MOST
    assert "3 more kinds are in the report." in text
    assert "### Largest timed case" not in text


def test_several_runs_follow_one_another():
    text = markdown([run_of(swept("batched", sizes=(64,)), label=label) for label in ("a", "b")])
    assert text.index("## attnbench: a") < text.index("## attnbench: b")
