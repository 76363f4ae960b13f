"""`attnbench run` says why nothing can run, and ends with the code that its records and verdicts ask for."""

from __future__ import annotations

import pytest
import typer

from attnbench.commands.run import exit_code
from attnbench.console import USAGE
from harness.results.run import read_run
from harness.results.verdicts_file import Verdict
from tests.support import runs
from tests.support.commands import in_process


def test_a_missing_implementation_file_is_named(tmp_path):
    done = in_process("run", "smoke", "--impl-file", str(tmp_path / "none.py"), "-o", str(tmp_path / "run"))
    assert done.exit_code == USAGE
    assert "no such file" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("worker_here")
def test_a_run_in_which_no_case_can_run_ends_with_the_reason(tmp_path):
    done = in_process("run", "smoke", "--impl", "sdpa-cudnn", "--device", "cpu", "-o", str(tmp_path / "run"))
    assert done.exit_code == USAGE
    assert "no case can run here" in done.stderr
    assert "runs on cuda only" in done.stderr


@pytest.mark.parametrize(
    ("verdicts", "code"), [([], USAGE), (["inconclusive"], USAGE), (["inconclusive", "confirmed"], 0), (["refuted"], 1)]
)
def test_failing_on_a_verdict_needs_one_that_was_decided(tmp_path, verdicts, code):
    path = tmp_path / "run"
    given = [
        Verdict(
            claim="A2", implementation=f"i{number}", quantity="all", verdict=verdict, arithmetic="confirmed", reason="x"
        )
        for number, verdict in enumerate(verdicts)
    ]
    runs.write_run(path, [runs.ok_record()], verdicts=given)
    try:
        found = exit_code(read_run(path), fail_on="refuted")
    except typer.Exit as ended:
        found = ended.exit_code
    assert found == code
    assert exit_code(read_run(path), fail_on=None) == 0
