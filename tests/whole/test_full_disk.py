"""A run whose disk fills up ends in one line, keeps what it has, is reported, and goes on once there is room."""

from __future__ import annotations

import resource
import subprocess
from contextlib import contextmanager

import pytest

from harness.results import journal
from tests.support.commands import in_process
from tests.whole.test_run import closing_records, own_lock  # noqa: F401  # a fixture for this module

RUN = (
    *("run", "smoke", "--fast", "--device", "cpu", "--threads", "1", "--impl", "batched", "--impl", "sdpa-math"),
    *("-a", "n=16,32"),
)
# The run's journal has 30 kB, its plan 7 kB, its report 170 kB.
JOURNAL_BREAKS, REPORT_BREAKS = 16_384, 102_400


def limited(size, *arguments):
    """Call a command while no file can grow beyond a size; what goes beyond is refused as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        return in_process(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def small_disk(folder, size):
    """Mount a file system of so many kilobytes, or skip where that takes more rights than we have."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting is refused: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def one_line(done, *said):
    assert done.exit_code == 2, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    complaint = [line for line in done.stderr.splitlines() if line.startswith("attnbench:")]
    assert len(complaint) == 1, done.stderr
    assert all(part in complaint[0] for part in said), complaint[0]


def whole_and_incomplete(directory):
    """Check that every line is whole and some case is still open; return the journal."""
    entries = journal.read(directory)
    planned = journal.read_plan(directory)
    assert entries.torn == 0
    assert entries.prepared
    assert len(entries.records) < len(planned.cases)
    assert not list(directory.glob("*.part"))
    return (directory / journal.JOURNAL).read_bytes()


def completed(directory, before):
    """Check that the journal goes on from what it held, with each case closed once."""
    assert (directory / journal.JOURNAL).read_bytes().startswith(before)
    planned = journal.read_plan(directory)
    assert closing_records(directory) == {case.case.id: 1 for case in planned.cases}
    assert (directory / journal.REPORT).is_file()


@pytest.mark.slow
def test_a_journal_that_can_grow_no_further_ends_the_run_and_resume_completes_it(tmp_path):
    directory = tmp_path / "run"
    one_line(limited(JOURNAL_BREAKS, *RUN, "-o", str(directory)), "what was measured is kept", "--resume")
    before = whole_and_incomplete(directory)
    shown = in_process("report", directory, "-o", tmp_path / "early.html")
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "early.html").stat().st_size > 10_000
    done = in_process(*RUN, "-o", directory, "--resume")
    assert done.exit_code == 0, done.output
    completed(directory, before)


@pytest.mark.slow
def test_a_file_system_without_room_ends_the_run_and_resume_completes_it(tmp_path):
    disk = tmp_path / "disk"
    with small_disk(disk, 32):
        directory = disk / "run"
        one_line(in_process(*RUN, "-o", directory), "space left", "what was measured is kept")
        before = whole_and_incomplete(directory)
        again = in_process(*RUN, "-o", directory, "--resume")
        one_line(again, "space left", "what was measured is kept")
        assert whole_and_incomplete(directory).startswith(before)
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        done = in_process(*RUN, "-o", directory, "--resume")
        assert done.exit_code == 0, done.output
        completed(directory, before)


@pytest.mark.slow
def test_a_report_that_can_not_be_written_leaves_a_complete_run(tmp_path):
    directory = tmp_path / "run"
    one_line(limited(REPORT_BREAKS, *RUN, "-o", str(directory)), "report.html", "the journal is intact")
    assert not (directory / journal.REPORT).exists() or (directory / journal.REPORT).stat().st_size <= REPORT_BREAKS
    done = in_process("report", directory)
    assert done.exit_code == 0, done.output
    completed(directory, (directory / journal.JOURNAL).read_bytes())


def test_a_place_that_never_had_room_for_a_plan_asks_for_no_resume(tmp_path):
    done = limited(512, *RUN, "-o", str(tmp_path / "run"))
    one_line(done, "too large")
    assert "--resume" not in done.stderr
