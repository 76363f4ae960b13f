"""`attnbench report` writes where it is told, and Markdown to the terminal."""

from __future__ import annotations

from tests.support import runs
from tests.support.commands import in_process


def test_a_report_goes_where_it_is_told_and_markdown_to_the_terminal(tmp_path):
    directory = tmp_path / "run"
    runs.write_run(directory, [runs.ok_record(n=64)])
    page = tmp_path / "pages" / "page.html"
    assert in_process("report", str(directory), "-o", str(page)).output.strip() == str(page)
    assert page.is_file()
    assert in_process("report", str(directory)).output.strip() == str(directory / "report.html")
    assert in_process("report", str(directory), "--format", "md").output.startswith("## attnbench: run")
    summary = tmp_path / "summary.md"
    assert in_process("report", str(directory), "--format", "md", "-o", str(summary)).output.strip() == str(summary)
    assert summary.read_text(encoding="utf-8").startswith("## attnbench: run")


def test_one_figure_is_written_by_its_name(tmp_path):
    directory = tmp_path / "run"
    runs.write_run(directory, [runs.ok_record(n=n, d=64, heads=2, batch=1) for n in (64, 128, 256)])
    listed = in_process("report", str(directory), "--figure", "list").output.splitlines()
    assert listed[0].startswith("card: ")
    assert any(line.startswith("time-run-sequence-length-float32-forward-hot: Time against") for line in listed)
    file = tmp_path / "time.csv"
    assert in_process("report", str(directory), "--figure", "time", "-o", str(file)).output.strip() == str(file)
    assert file.read_text(encoding="utf-8").startswith("implementation,n,time (s),")
    wrong = in_process("report", str(directory), "--figure", "tme", "-o", str(file))
    assert "no figure 'tme'; have: card, " in wrong.output
