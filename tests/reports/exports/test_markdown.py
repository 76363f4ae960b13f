"""A summary in Markdown says the answer, its doubts and what failed, whatever names hold."""

from __future__ import annotations

from harness.results.run import read_run
from reports.exports.markdown import markdown
from tests.support import runs


def test_markdown_escapes_what_comes_from_outside(tmp_path):
    record = runs.failed_record("bad|<b>", "crashed", "a | b <script>", n=64)
    runs.write_run(tmp_path / "run", [record], judged=False)
    text = markdown([read_run(tmp_path / "run")])
    assert "<script>" not in text
    assert "bad\\|&lt;b&gt;" in text


def test_an_inconclusive_exponent_is_not_quoted_as_a_law(tmp_path):
    record = runs.ok_record("loop", n=64, d=64, heads=2, batch=1)
    verdicts = [
        runs._verdict("A2", "loop", "time", "inconclusive", axis="n", expected=2, exponent=1.9, low=1.05, high=2.49),
        runs._verdict("A2", "loop", "all", "inconclusive", axis="n", expected=2, exponent=1.9, reason="too few sizes"),
    ]
    runs.write_run(tmp_path / "run", [record], verdicts=verdicts)
    text = markdown([read_run(tmp_path / "run")])
    assert "grows as" not in text
    assert "decides nothing for loop along n (exponent 1.05 to 2.49)" in text
    assert "O(n² d) is confirmed for 0 of 1 implementation, inconclusive for loop." in text
