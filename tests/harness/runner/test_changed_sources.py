"""An implementation whose source changed is another one: measured anew, said, and never mixed with what it was."""

from __future__ import annotations

import pytest

from harness import policy
from harness.protocol.messages import Describe
from harness.results import journal
from harness.results.documents import JournalError
from harness.results.run import read_run
from harness.runner.execute import execute, plan_and_execute, stored_plan
from harness.runner.selection import Request, Selection
from harness.runner.supervisor import Supervisor, WorkerError, WorkerSettings
from reports.terminal.progress import Lines, Reporter
from scenarios import catalog

KERNEL = """
from impls.attention.batched import batched
from impls.registry import register


@register(problem="attention", name="mine", devices=("cpu",), supports=("causal", "valid_lens", "gqa", "d_v"))
def mine(q, k, v, **options):
    return batched(q, k, v, **options)
"""


def write_kernel(folder, comment=""):
    file = folder / "mine.py"
    file.write_text(KERNEL + comment)
    return file


def test_a_changed_file_is_measured_anew_and_its_neighbour_is_kept(tmp_path, capsys):
    file, directory = write_kernel(tmp_path), tmp_path / "run"
    request = Request(
        scenarios=(catalog.find("smoke"),),
        selection=Selection(implementations=("mine", "batched"), axes={"n": [16]}),
        device="cpu",
        policy=policy.FAST,
        preset="fast",
        impl_files=(str(file),),
        threads=1,
    )
    progress = Reporter(Lines())
    plan_and_execute(request, directory, progress=progress)
    before = {record.case.implementation: record for record in read_run(directory).records}
    assert all(len(record.digest) == 16 for record in before.values())
    summary = (directory / journal.SUMMARY).read_bytes()
    execute(stored_plan(directory), directory, progress=progress)
    assert f"{directory} is finished: nothing is left to measure" in capsys.readouterr().out
    assert (directory / journal.SUMMARY).read_bytes() == summary
    assert {record.case.implementation: record for record in read_run(directory).records} == before

    write_kernel(tmp_path, "# Faster now.\n")
    capsys.readouterr()
    execute(stored_plan(directory), directory, progress=progress)
    assert "mine: its source changed since the run was begun; it is measured anew" in capsys.readouterr().out
    after = {record.case.implementation: record for record in read_run(directory).records}
    assert after["batched"] == before["batched"]
    assert after["mine"].digest != before["mine"].digest
    assert after["mine"].time.samples != before["mine"].time.samples
    run = read_run(directory)
    visits = run.rounds[after["mine"].case.id]
    assert [sample for visit in visits for sample in visit.samples] == after["mine"].time.samples
    assert stored_plan(directory).digest_of(after["mine"].case) == after["mine"].digest

    file.unlink()
    with pytest.raises(JournalError, match=r"mine\.py is gone"):
        execute(stored_plan(directory), directory, progress=progress)


@pytest.mark.usefixtures("worker_here")
def test_a_file_that_changes_between_two_workers_of_a_run_ends_it(tmp_path):
    file = write_kernel(tmp_path)
    settings = WorkerSettings(device="cpu", policy=policy.FAST, impl_files=(str(file),))
    with Supervisor(settings, progress=Reporter(Lines())) as supervisor:
        supervisor.require(Describe())
        supervisor.drop()
        supervisor.require(Describe())
        supervisor.drop()
        write_kernel(tmp_path, "# Faster now.\n")
        with pytest.raises(WorkerError, match=r"mine of .*mine\.py changed during the run; --resume measures it anew"):
            supervisor.require(Describe())


def test_what_a_journal_says_of_a_replaced_implementation_is_void(tmp_path):
    with journal.Journal(tmp_path) as log:
        log.append_facts("degrees x", {})
        log.append("facts", {"about": "else", "facts": {"a": 1}})
        log.append_replaced("attention x", ["case"], facts=["else"])
    entries = journal.read(tmp_path)
    assert entries.facts == {}
    with journal.Journal(tmp_path) as log:
        log.append("replaced", {"cases": "case"})
    assert any("cases is no list" in damage for damage in journal.read(tmp_path).damages)
