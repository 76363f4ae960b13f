"""Progress without a terminal is plain lines; the ETA follows predicted cost, not the count of cases."""

from __future__ import annotations

import subprocess
import sys

from harness.records import Agreement, Check, Record
from reports import units
from reports.terminal import progress
from tests.harness.results.test_closing import case, prepared


def test_every_case_has_its_line(capsys):
    lines = progress.Lines()
    lines.phase("agreement", total=10.0)
    lines.advance(1.0, "loop n=64: agrees", count="1/2")
    lines.advance(9.0, "loop n=4096: agrees", count="2/2")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("[1/2] loop n=64: agrees ETA ")
    assert second == "[2/2] loop n=4096: agrees ETA 0:00"


def test_cases_of_a_point_share_a_line_and_failures_have_theirs(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = progress.Lines()
    lines.phase("agreement", total=10.0)
    for number in range(4):
        lines.advance(1.0, f"case {number}", count=f"{number + 1}/9", point="p")
    lines.advance(1.0, "it crashed", count="5/9")
    lines.advance(1.0, "next", count="6/9", point="q")
    now[0] += progress.LINE_SECONDS
    lines.advance(1.0, "late", count="7/9", point="q")
    printed = [line.split(" ETA")[0] for line in capsys.readouterr().out.splitlines()]
    assert printed == ["[1/9] case 0", "[5/9] it crashed", "[6/9] next", "[7/9] late"]


def test_a_reader_that_went_away_interrupts_once_and_is_told_of_on_standard_error():
    program = (
        "import sys, os\n"
        "from reports.terminal.progress import Lines, Reporter\n"
        "read, write = os.pipe(); os.close(read); os.dup2(write, 1)\n"
        "shown = Reporter(Lines())\n"
        "try:\n    shown.judging()\n"
        "except KeyboardInterrupt:\n    shown.interrupted()\n"
        "print('nobody reads this')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0
    assert done.stderr == "interrupted: what was measured is kept; continue with --resume\n"


def test_a_long_check_says_how_far_it_is_and_how_long_the_rest_takes(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    told = progress.Reporter(progress.Lines())
    told.examining("compiled", "float32", probes=20)
    for _ in range(10):
        now[0] += 4.0
        told.probed()
    assert capsys.readouterr().out.splitlines() == [
        "checking compiled float32",
        "checking compiled float32: 15% ETA 1:08",
        "checking compiled float32: 30% ETA 0:56",
        "checking compiled float32: 45% ETA 0:44",
    ]


def test_a_round_says_something_at_most_every_few_seconds(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = progress.Lines()
    lines.phase("round 1", total=100.0)
    for _ in range(100):
        now[0] += 1.0
        lines.advance(1.0, "")
    assert len(capsys.readouterr().out.splitlines()) == 10


def test_the_time_left_is_weighted_by_predicted_cost(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    pace = progress.Pace(100.0)
    assert pace.left() is None
    # One cheap case of many: a tenth of the predicted cost took 2 s, so nine tenths take 18.
    now[0], pace.done = 2.0, 10.0
    assert pace.left() == 18.0
    assert units.clock(pace.left()) == "0:18"


def test_a_log_gets_lines_and_no_bar(monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert isinstance(progress.display(), progress.Lines)


def test_a_bar_takes_lines_with_markup_for_text(capsys):
    bar = progress.Bar()
    bar.phase("agreement", total=2.0)
    bar.advance(1.0, "[red]not markup", count="1/2")
    bar.note("[b]nor this")
    bar.close()
    assert "[b]nor this" in capsys.readouterr().out


def said(capsys):
    return capsys.readouterr().out.splitlines()


def test_cases_are_counted_while_they_are_prepared_and_at_no_other_time(capsys):
    reporter = progress.Reporter(progress.Lines())
    failure = Record(case=case(), status="crashed", reason="killed by SIGSEGV")
    reporter.phase_begun("agreement", cost=2.0, cases=2)
    reporter.prepared(case(), prepared(), cost=1.0)
    reporter.failed(failure, cost=1.0)
    reporter.round_begun(1, cost=1.0, cases=1)
    reporter.failed(failure, cost=1.0)
    first, second, third = said(capsys)
    assert first == f"[1/2] {case().label}: agrees, 10 ms per call ETA 0:00"
    assert second == f"[2/2] {case().label}: crashed, killed by SIGSEGV ETA 0:00"
    assert third == f"{case().label}: crashed, killed by SIGSEGV"


def test_an_agreement_shows_how_much_of_its_budget_an_error_took(capsys):
    check = Check(name="out", error=0.2, budget=1.0, ratio=0.2)
    agreed = prepared().model_copy(update={"agreement": Agreement(passed=True, checks=[check])})
    progress.Reporter(progress.Lines()).prepared(case(), agreed, cost=1.0)
    assert said(capsys)[0].startswith(f"{case().label}: agrees (0.20 of budget), ")


def test_what_is_missed_beside_the_time_is_said_with_its_reason(capsys):
    reporter = progress.Reporter(progress.Lines())
    reporter.phase_begun("counting operations", cost=1.0, cases=1)
    reporter.missed(case(), "operations", "timeout", cost=1.0)
    reporter.phase_begun("fresh memory", cost=1.0, cases=1)
    reporter.missed(case(), "fresh memory", "no worker", cost=1.0)
    assert said(capsys) == [
        f"{case().implementation}: operations not counted, timeout",
        f"{case().label}: fresh memory not compared, no worker",
    ]


def test_times_in_a_log_keep_to_plain_characters():
    assert [units.duration(seconds) for seconds in (64.0, 1.05e-3, 1.23e-5, 4e-8)] == [
        "64 s",
        "1.05 ms",
        "12.3 us",
        "40 ns",
    ]
