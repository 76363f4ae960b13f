"""`attnbench verify` ends as the verdicts on a table ask for."""

from __future__ import annotations

from tests.support.commands import in_process


def test_verify_fails_only_on_the_verdicts_that_were_named(tmp_path):
    rows = "".join(f"{n},{1e-6 * n**2}\n" for n in (64, 128, 256, 512))
    (tmp_path / "t.csv").write_text(f"n,seconds\n{rows}")
    arguments = ["verify", "--csv", str(tmp_path / "t.csv"), "--exponent", "2"]
    assert "is inconclusive" in in_process(*arguments).output
    assert in_process(*arguments).exit_code == 0
    assert in_process(*arguments, "--fail-on", "contradicted").exit_code == 0
    assert in_process(*arguments, "--fail-on", "contradicted", "--fail-on", "inconclusive").exit_code == 1
