"""What a terminal shows names what was found, the worst first, and what to do next."""

from __future__ import annotations

import io
import re
import shlex

import pytest
from rich.console import Console

from harness.doctor.diagnosis import Diagnosis, Finding
from harness.doctor.self_test import SelfTest
from harness.records import Agreement, Check, Environment, Outcome
from harness.runner.check import Report, Unavailable
from harness.verdicts.table import Verification
from harness.verdicts.table_group import Group
from reports.terminal import check, results, verification
from reports.terminal.doctor import as_text


def outcome(**changed):
    known = {"implementation": "mine", "probe": "equal scores", "dtype": "float32", "device": "cpu", "seed": 7}
    return Outcome(**{**known, "direction": "forward", "status": "ok", **changed})


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


def test_a_diagnosis_begins_with_the_problems():
    findings = [
        Finding(name="turbo", level="fine", found="off"),
        Finding(name="threads", level="problem", found="9 for 8 cores", advice="--threads 8"),
        Finding(name="clock_source", level="unknown", found="no file"),
    ]
    tested = SelfTest(ratios={"a": 1.0}, noise_floor=0.012, centre=1.0, called_different={"default": 0.03}, seconds=2.0)
    diagnosis = Diagnosis(
        environment=Environment(id="x", stable={"cpu": "a processor"}), findings=findings, self_test=tested
    )
    lines = as_text(diagnosis, false_alarms={"default": 0.02}).splitlines()
    assert lines[0] == "a processor"
    assert [line.split()[0] for line in lines[2:6]] == ["PROBLEM", "->", "unknown", "fine"]
    assert lines[3].strip() == "-> --threads 8"
    assert "clock source" in lines[4]
    assert lines[-1] == "Copies called different in a default run: 3.0% (at most 2%)."


def test_a_verification_says_the_law_of_each_group_and_its_notes():
    lone = Group({"impl": "dense"}, [1.0, 2.0], [1.0, 4.0], 2, 0, "inconclusive", "2 sizes are too few")
    found = Verification(exponent=2.0, x="n", y="seconds", groups=[lone], notes=["rows differ"])
    assert verification.lines(found) == [
        "impl=dense: seconds ~ n^2 is inconclusive: 2 sizes are too few",
        "note: rows differ",
    ]


def test_an_interval_of_decades_is_called_unresolved():
    assert results.interval(4e-9, 0.275) == "unresolved"
    assert results.interval(None, None) == "none"
    assert results.interval(0.9e-3, 1.1e-3) == "900 µs to 1.10 ms"


def test_the_largest_error_of_a_check_stands_beside_the_probe_it_was_in():
    small, large = (
        Agreement(passed=True, checks=[Check(name="out", error=ratio, budget=1.0, ratio=ratio)]) for ratio in (0.1, 0.7)
    )
    text = rendered(outcome(agreement=small), outcome(agreement=large, probe="long rows"))
    assert re.search(r"0\.7 . long rows, forward", text)
    assert "0.1" not in text
