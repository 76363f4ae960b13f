"""A check is shown with its first failures and the command that repeats each."""

from __future__ import annotations

import io
import re
import shlex

import pytest
from rich.console import Console

from harness.records import Agreement, Check, ProbeOutcome
from harness.runner.check import Report, Unavailable
from reports.terminal import check


def outcome(**changed):
    known = {"implementation": "mine", "probe": "equal scores", "dtype": "float32", "device": "cpu", "seed": 7}
    return ProbeOutcome(**{**known, "direction": "forward", "status": "ok", **changed})


def rendered(*outcomes, unavailable=(), impl_files=()):
    out = io.StringIO()
    report = Report(problem="attention", device="cpu", outcomes=list(outcomes), unavailable=list(unavailable))
    check.render(report, Console(file=out, width=160), impl_files=impl_files)
    return out.getvalue()


def test_a_check_counts_probes_that_were_asked_and_passed():
    text = rendered(outcome(), outcome(status="unsupported"), outcome(status="disagreed", reason="off by one"))
    assert "1/2" in text
    assert "disagreed mine float32, equal scores, forward: off by one" in text


def test_brackets_of_others_are_shown_and_not_read_as_markup():
    text = rendered(
        outcome(status="crashed", reason="tensor[0] [red]"), unavailable=[Unavailable(name="[b]", reason="x")]
    )
    assert "tensor[0] [red]" in text
    assert "unavailable [b]: x" in text


@pytest.mark.parametrize(
    ("problem", "impl_files", "words"),
    [
        ("attention", (), ["--impl", "mine", "--dtype", "float32", "--device", "cpu", "--seed", "7"]),
        ("pooling", ("my kernel.py",), ["--problem", "pooling", "--impl", "mine", "--impl-file", "my kernel.py"]),
    ],
)
def test_a_failure_can_be_repeated_by_a_command_that_a_shell_reads(problem, impl_files, words):
    command = shlex.split(check.reproduction(outcome(), problem=problem, impl_files=impl_files))
    assert command[:2] == ["attnbench", "check"]
    assert command[2 : 2 + len(words)] == words
    assert command[-2:] == ["-k", "equal scores, forward"]


def test_the_largest_error_of_a_check_stands_beside_the_probe_it_was_in():
    small, large = (
        Agreement(passed=True, checks=[Check(name="out", error=ratio, budget=1.0, ratio=ratio)]) for ratio in (0.1, 0.7)
    )
    text = rendered(outcome(agreement=small), outcome(agreement=large, probe="long rows"))
    assert re.search(r"0\.7 . long rows, forward", text)
    assert "0.1" not in text
