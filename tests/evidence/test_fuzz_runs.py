"""The run directories of `nox -s fuzz-runs`, a few of them; the fuzzer is shown able to fail."""

from __future__ import annotations

import sys
import time

import pytest

from harness.results.documents import JournalError
from tests.evidence import fuzz_runs
from tests.evidence.fuzz_runs import base, least_seconds, outcome


@pytest.fixture
def directory(tmp_path):
    return base(tmp_path, number=0)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (JournalError("plan.json is none"), "refused"),
        (ValueError("of a library"), "not one of ours: ValueError of a library"),
        (JournalError("x" * 701), "not one of ours: JournalError"),
        (KeyError("n"), "read_run: KeyError at test_fuzz_runs.py"),
    ],
)
def test_what_may_not_come_of_reading_is_told_from_a_refusal(directory, monkeypatch, error, said):
    def read(_):
        raise error

    monkeypatch.setattr(fuzz_runs, "read_run", read)
    assert outcome(directory, with_page=False).startswith(said)


def test_what_falls_or_is_slow_after_reading_is_named(directory, monkeypatch):
    monkeypatch.setattr(fuzz_runs, "frame", lambda _: {}["n"])
    assert outcome(directory, with_page=False).startswith("frame: KeyError at test_fuzz_runs.py")
    monkeypatch.setattr(fuzz_runs, "frame", lambda _: None)
    monkeypatch.setattr(fuzz_runs, "least_seconds", lambda step: step() or 2.1)
    assert outcome(directory, with_page=False) == "read_run: slow, 2.1 s"


def test_a_slow_step_is_taken_again_and_its_least_time_counts(monkeypatch):
    def least(*times):
        clock = iter([moment for seconds in times for moment in (0.0, seconds)])
        monkeypatch.setattr(time, "process_time", lambda: next(clock))
        return least_seconds(lambda: None)

    assert [least(1.9), least(2.3, 1.8), least(2.3, 2.4, 2.2)] == [1.9, 1.8, 2.2]


def test_twenty_damaged_directories_give_their_exports_or_say_what_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fuzz_runs", "--runs", "20", "--seed", "11"])
    monkeypatch.setattr(fuzz_runs, "PAGE_EVERY", 21)
    assert fuzz_runs.main() == 0
    said = capsys.readouterr().out
    assert "20 run directories" in said
    assert " read   (" in said
    assert " refused   (" in said


def test_a_single_fall_ends_the_fuzzer_with_one(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fuzz_runs", "--runs", "1"])
    monkeypatch.setattr(fuzz_runs, "outcome", lambda *_, **__: "frame: KeyError at frame.py:1: 'n'")
    assert fuzz_runs.main() == 1
    assert "frame: KeyError at frame.py:1" in capsys.readouterr().out
