"""Several devices by one command: what can't go together is refused in a line."""

from __future__ import annotations

import pytest

from harness.cluster import quiet
from tests.support.commands import in_process


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--on", "h100"], "--workers, for those of this host, or --cluster"),
        (["--workers", "2", "--cluster", "tcp://x:1"], "one of the two"),
        (["--workers", "many"], "--workers 'many' must read local, or how many"),
        (["--cluster", "tcp://x:1", "--device", "cpu"], "give them to `attnbench worker`"),
        (["--workers", "2", "--shard", "1/2"], "--shard cuts a plan"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(tmp_path, options, line):
    done = in_process("run", "smoke", *options, "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert line in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_without_the_engine_the_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(quiet.importlib.util, "find_spec", lambda _name: None)
    done = in_process("run", "smoke", "--workers", "2", "-o", tmp_path / "out")
    assert (done.exit_code, "pip install 'attnbench[cluster]'" in done.stderr) == (2, True)
