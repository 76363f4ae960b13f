"""`attnbench worker` says in a line why it can't work."""

from __future__ import annotations

import pytest

from tests.support.commands import in_process


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([], "say which scheduler"),
        (["--scheduler-file", "gone.json"], "--scheduler-file gone.json: no such file"),
        (["tcp://127.0.0.1:1", "--tls-ca", "pyproject.toml"], "--tls-cert, --tls-key must be given too"),
        (["tcp://127.0.0.1:1", "--device", "cpu", "--cores-per-worker", "100000"], "1 workers of 100000 cores want"),
    ],
)
def test_what_can_not_be_is_one_line(options, line):
    done = in_process("worker", *options)
    assert done.exit_code == 2
    assert line in done.stderr
