"""`attnbench worker` says in a line why it can't work."""

from __future__ import annotations

import json

import pytest

from tests.support.commands import in_process


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([], "say which scheduler"),
        (["--scheduler-file", "gone.json"], "--scheduler-file gone.json: no such file"),
        (["tls://127.0.0.1:1"], "the scheduler at tls://127.0.0.1:1 wants certificates"),
        (["tcp://127.0.0.1:1", "--tls-ca", "pyproject.toml"], "--tls-cert, --tls-key must be given too"),
        (["tcp://127.0.0.1:1", "--device", "cpu", "--cores-per-worker", "100000"], "1 workers of 100000 cores want"),
    ],
)
def test_what_can_not_be_is_one_line(options, line):
    done = in_process("worker", *options)
    assert done.exit_code == 2
    assert line in done.stderr


@pytest.mark.cluster
def test_its_places_are_one_document_where_asked_and_nothing_where_quiet(monkeypatch):
    pytest.importorskip("distributed")
    from harness.cluster import crew

    # No scheduler is there: its worker ends, and the command says so.
    monkeypatch.setattr(crew.Crew, "look", lambda _: False)
    done = in_process("worker", "tcp://127.0.0.1:1", "--device", "cpu", "--json", "--quiet")
    assert done.exit_code == 1
    assert json.loads(done.stdout) == {"working_on": ["cpu"]}
    assert done.stderr == "attnbench: no scheduler at tcp://127.0.0.1:1\n"
    assert in_process("worker", "tcp://127.0.0.1:1", "--device", "cpu", "--quiet").stdout == ""
