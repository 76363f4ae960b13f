"""`attnbench export` writes beside the run unless told otherwise, in a format that it knows."""

from __future__ import annotations

from attnbench.console import USAGE
from tests.support import runs
from tests.support.commands import in_process


def test_a_missing_option_is_named_with_exit_code_2():
    done = in_process("export", "somewhere")
    assert done.exit_code == USAGE
    assert "Missing option '--to'" in done.stderr


def test_an_export_lies_beside_the_run_unless_told_otherwise(tmp_path):
    directory = tmp_path / "run"
    runs.write_run(directory, [runs.ok_record(n=64)])
    assert in_process("export", str(directory), "--to", "csv").output.strip() == str(directory / "cases.csv")
    done = in_process("export", str(directory), "--to", "xml")
    assert done.exit_code == USAGE
    assert "no export format 'xml'" in done.stderr
