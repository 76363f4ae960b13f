"""A file that can't be written is named, with the reason, and nothing else is."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

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


@contextlib.contextmanager
def a_full_disk(room=100):
    """No file grows beyond so many bytes meanwhile."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_the_old_file_whole_and_no_half_of_the_new(tmp_path):
    old = write_file(b"old", tmp_path / "main.json")
    old.chmod(0o600)
    with a_full_disk(), pytest.raises(JournalError, match=r"can't write .*main\.json: File too large"):
        write_file(b"x" * 200, old)
    assert (old.read_bytes(), list(tmp_path.iterdir())) == (b"old", [old])
    write_file(b"new", old)
    assert (old.read_bytes(), oct(old.stat().st_mode)[-3:]) == (b"new", "600")


def test_a_full_disk_leaves_the_old_page_whole(tmp_path):
    runs.write_run(tmp_path / "run", [runs.ok_record(n=64)])
    run = read_run(tmp_path / "run")
    (tmp_path / "report.html").write_text("old")
    with a_full_disk(), pytest.raises(JournalError, match=r"can't write .*report\.html: File too large"):
        write_page([run], tmp_path)
    assert (tmp_path / "report.html").read_text() == "old"


def test_a_link_stays_one_and_a_device_takes_what_it_is_given(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_file(b"a", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"a"
    write_file(b"a", Path("/dev/null"))
    assert not Path("/dev/null").is_file()
