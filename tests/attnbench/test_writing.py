"""A file that can't be written is named, with the reason, and nothing else is."""

from __future__ import annotations

import pytest

from attnbench.writing import check_writable, write_file, write_page
from harness.results.journal import JournalError
from harness.results.run import read_run
from tests.support import runs


def test_a_file_is_written_into_a_folder_made_for_it(tmp_path):
    path = write_file(b"a,b\n", tmp_path / "new" / "cases.csv")
    assert path.read_bytes() == b"a,b\n"


def test_a_file_in_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(JournalError, match=r"can't write .*cases\.csv: (File exists|Not a directory)"):
        write_file(b"", tmp_path / "taken" / "cases.csv")


def test_a_page_is_written_of_runs_that_are_read(tmp_path):
    runs.write_run(tmp_path / "run", [runs.ok_record(n=64)])
    page = write_page([read_run(tmp_path / "run")], tmp_path / "pages" / "report.html")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_page_that_is_a_folder_without_room_is_named(tmp_path):
    runs.write_run(tmp_path / "run", [runs.ok_record(n=64)])
    (tmp_path / "taken").write_text("")
    with pytest.raises(JournalError, match=r"can't write .*report\.html"):
        write_page([read_run(tmp_path / "run")], tmp_path / "taken" / "report.html")


def test_a_file_is_found_writable_without_a_trace_and_its_content_is_kept(tmp_path):
    check_writable(tmp_path / "new" / "later.json")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "kept.json").write_text("{}")
    check_writable(tmp_path / "kept.json")
    assert (tmp_path / "kept.json").read_text() == "{}"


def test_a_file_that_could_not_be_written_later_is_refused_now(tmp_path):
    with pytest.raises(JournalError, match=r"can't write .*: Is a directory"):
        check_writable(tmp_path)
