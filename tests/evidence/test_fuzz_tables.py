"""The tables of `nox -s fuzz`, a few of them; the fuzzer is shown able to fail."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import click
import pytest

from tests.evidence.fuzz_tables import KINDS, Case, Tally, make, outcome

CASE = Case("table", b"n,seconds\n64,1\n", ("--exponent", "2"))


def planted(body):
    """Return a command line that does `body` in place of reading a table."""

    @click.group()
    def group():
        pass

    @group.command(context_settings={"ignore_unknown_options": True})
    @click.argument("words", nargs=-1)
    def verify(words):
        body()

    return group


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (lambda: {}["n"], KeyError),
        (lambda: sys.exit(3), AssertionError),
        (lambda: sys.exit(2), AssertionError),
        (lambda: click.echo("nothing"), AssertionError),
        (lambda: click.echo("\n".join(["attnbench: x"] * 30), err=True) or sys.exit(2), AssertionError),
        (lambda: bytearray(10**20), (MemoryError, OverflowError)),
    ],
)
def test_what_may_not_come_out_is_a_failure(tmp_path, body, error):
    with pytest.raises(error):
        outcome(CASE, tmp_path / "t.csv", planted(body), Tally())


def test_a_slow_table_is_a_failure(tmp_path, monkeypatch):
    clock = iter([0.0, 3.0, 3.0, 5.1, 5.1, 8.0])
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    body = planted(lambda: click.echo("s ~ n^2 is consistent: yes"))
    with pytest.raises(AssertionError, match=r"2\.1 s"):
        outcome(CASE, tmp_path / "t.csv", body, Tally())


def test_a_table_that_neighbours_made_slow_once_is_none(tmp_path, monkeypatch):
    clock = iter([0.0, 2.1, 2.1, 3.1])
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    body = planted(lambda: click.echo("s ~ n^2 is consistent: yes"))
    assert outcome(CASE, tmp_path / "t.csv", body, Tally()) == "judged (consistent)"


def test_a_number_stands_for_one_case():
    for kind in KINDS:
        assert make(kind, 5, "text", b"raw") == make(kind, 5, "text", b"raw")
    assert len({make("table", random.Random(place).getrandbits(48), "", b"").raw for place in range(20)}) == 20


def test_two_hundred_tables_give_verdicts_or_say_what_is_wrong():
    command = [sys.executable, "-m", "tests.evidence.fuzz_tables", "--tables", "200", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "200 tables in" in done.stdout
    assert ": 0 failures" in done.stdout
    assert "judged (" in done.stdout
