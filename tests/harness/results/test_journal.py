"""The journal survives what happens to files: torn lines, full disks, newer versions."""

from __future__ import annotations

import errno
import json
import os

import pytest

from harness.records import Case, Record, Round, case_id
from harness.results import documents, journal
from harness.results.journal import Journal, JournalError
from harness.results.schema import SchemaMismatchError
from tests.harness.results.test_documents import put_directory, put_loop, put_pipe


def record(n: int) -> Record:
    identity = {
        "problem": "attention",
        "point": {"n": n},
        "dtype": "float32",
        "device": "cpu",
        "direction": "forward",
        "cache": "hot",
        "implementation": "loop",
    }
    case = Case.model_validate({**identity, "id": case_id(**identity), "scenario": "smoke"})
    return Record(case=case, status="crashed", reason="planted")


def visit(index: int) -> Round:
    return Round(index=index, started=0.0, calls_per_sample=1, samples=[1.0, 2.0])


def test_what_is_appended_is_read(tmp_path):
    with Journal(tmp_path) as log:
        log.append_round("x", visit(0))
        log.append_record(record(8))
        log.append_facts("loop", {"n": 2})
    entries = journal.read(tmp_path)
    assert list(entries.records.values()) == [record(8)]
    assert entries.rounds == {"x": [visit(0)]}
    assert entries.facts == {"loop": {"n": 2}}
    assert entries.torn == 0


def test_lines_reach_the_disk_within_a_second_and_at_the_end(tmp_path, monkeypatch):
    synchronised = []
    now = [0.0]
    monkeypatch.setattr(journal.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(journal.os, "fsync", lambda _: synchronised.append(now[0]))
    with Journal(tmp_path) as log:
        for step in range(5):
            now[0] = 0.4 * step
            log.append_round("x", visit(step))
    assert synchronised == [pytest.approx(1.2), pytest.approx(1.6)]
    assert len(journal.read(tmp_path).rounds["x"]) == 5


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_a_torn_tail_is_ignored_counted_and_not_merged_with_what_follows(tmp_path, cut):
    with Journal(tmp_path) as log:
        log.append_record(record(8))
        log.append_record(record(16))
    path = tmp_path / journal.JOURNAL
    os.truncate(path, path.stat().st_size - cut)
    with Journal(tmp_path) as log:
        log.append_record(record(32))
    entries = journal.read(tmp_path)
    # Cutting the newline alone leaves a whole record.
    whole = [8, 16, 32] if cut == 1 else [8, 32]
    assert [found.case.point["n"] for found in entries.records.values()] == whole
    assert entries.torn == (cut != 1)


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    with Journal(tmp_path) as log:
        log.append_record(record(8))
        write = os.write
        monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:10]))
        with pytest.raises(OSError, match="no space left"):
            log.append_record(record(16))
        monkeypatch.setattr(os, "write", write)
    entries = journal.read(tmp_path)
    assert len(entries.records) == 1
    assert entries.torn == 0


def test_a_disk_that_takes_nothing_more_leaves_whole_lines(tmp_path, monkeypatch):
    def full(_descriptor, _data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Journal(tmp_path) as log:
        log.append_record(record(8))
        write = os.write
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            log.append_record(record(16))
        monkeypatch.setattr(os, "write", write)
        log.append_record(record(32))
    entries = journal.read(tmp_path)
    assert [found.case.point["n"] for found in entries.records.values()] == [8, 32]
    assert entries.torn == 0


def test_a_document_that_can_not_be_finished_leaves_the_old_one_and_no_part(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    journal.write_document(path, {"schema": "1.0.0", "a": 1})

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        journal.write_document(path, {"schema": "1.0.0", "a": 2})
    assert journal.read_document(path) == {"schema": "1.0.0", "a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


def test_a_number_that_is_not_finite_is_refused(tmp_path):
    with Journal(tmp_path) as log, pytest.raises(ValueError, match="not JSON compliant"):
        log.append("facts", {"about": "x", "facts": {"value": float("nan")}})


def test_a_newer_schema_is_refused_by_name(tmp_path):
    newer = record(8).model_dump(mode="json", by_alias=True) | {"schema": "2.0.0"}
    (tmp_path / journal.JOURNAL).write_text(json.dumps({"kind": "record", "record": newer}) + "\n")
    with pytest.raises(SchemaMismatchError, match=r"has schema 2\.0\.0; this version reads up to 1\.x"):
        journal.read(tmp_path)


DAMAGED = {
    "a record without its parts": ('{"kind": "record", "record": {"schema": "1.0.0"}}', "record: case is missing"),
    "a record that is null": ('{"kind": "record", "record": null}', "record: "),
    "a record that is not there": ('{"kind": "record"}', "record: "),
    "a round of a list": ('{"kind": "round", "case": [], "round": {}}', "case is no text"),
    "a round without samples": (
        '{"kind": "round", "case": "x", "round": {"index": 0, "started": 0.0, "calls_per_sample": 1}}',
        "round: samples is missing",
    ),
    "samples that are no numbers": (
        '{"kind":"round","case":"x","round":{"index":0,"started":0.0,"calls_per_sample":1,"samples":[NaN]}}',
        "NaN in the place of a finite number",
    ),
    "samples beyond any number": (
        '{"kind":"round","case":"x","round":{"index":0,"started":0.0,"calls_per_sample":1,"samples":[1e999]}}',
        "1e999 in the place",
    ),
    "a sample that is no time": (
        '{"kind":"round","case":"x","round":{"index":0,"started":0.0,"calls_per_sample":1,"samples":[1e-6,0]}}',
        "round.samples has 0, which is no time",
    ),
    "a canary that is no time": (
        '{"kind":"round","case":"x","round":{"index":0,"started":0,"calls_per_sample":1,"samples":[1],"canary":[-2]}}',
        "round.canary has -2, which is no time",
    ),
    "a number of many digits": ('{"kind": "facts", "about": "x", "facts": {"n": ' + "9" * 5000 + "}}", "5000 digits"),
    "facts without a subject": ('{"kind": "facts", "facts": {}}', "about is no text"),
    "degrees that are none": ('{"kind": "facts", "about": "degrees x", "facts": {}}', "facts: problem is missing"),
    "preparation that is none": ('{"kind": "prepared", "case": "x"}', "prepared: "),
    "a line nested thousands deep": ("[" * 100_000, "nests more than"),
    "a line nested forty deep": ('{"kind": ' + "[" * 40 + "]" * 40 + "}", "nests more than"),
    "half a line": ('{"kind": "rec', "is not JSON"),
    "a line of another kind of file": ("[1, 2]", "is no line of a journal"),
    "a line that is too long": ("1" * (documents.LINE_BYTES + 5), "is longer than"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_line_is_named_and_the_rest_is_read(tmp_path, name):
    line, mistake = DAMAGED[name]
    whole = json.dumps({"kind": "record", "record": record(8).model_dump(mode="json", by_alias=True)})
    (tmp_path / journal.JOURNAL).write_text(f"\n{line}\n{whole}\n")
    entries = journal.read(tmp_path)
    assert [found.case.point["n"] for found in entries.records.values()] == [8]
    (damage,) = entries.damages
    assert damage.startswith("line 2 ")
    assert mistake in damage
    assert len(damage) < 400


def test_half_a_character_is_replaced_where_it_is_read(tmp_path):
    content = record(8).model_dump(mode="json", by_alias=True)
    content["case"]["implementation"] = "a\ud800b"
    (tmp_path / journal.JOURNAL).write_text(json.dumps({"kind": "record", "record": content}) + "\n")
    (read,) = journal.read(tmp_path).records.values()
    assert read.case.implementation == "a\ufffdb"


@pytest.mark.parametrize("put", [put_directory, put_loop, put_pipe])
def test_a_journal_that_is_no_file_is_refused_in_a_line(tmp_path, put):
    put(tmp_path / journal.JOURNAL)
    with pytest.raises(JournalError, match=r"journal\.jsonl (is a directory|can't be read|is no regular file)"):
        journal.read(tmp_path)


def test_a_directory_without_a_journal_is_no_run(tmp_path):
    with pytest.raises(JournalError, match="is no run directory"):
        journal.read(tmp_path)


def test_a_document_is_replaced_whole(tmp_path):
    path = tmp_path / "x.json"
    journal.write_document(path, {"schema": "1.0.0", "a": 1})
    with pytest.raises(TypeError):
        journal.write_document(path, {"schema": "1.0.0", "a": object()})
    assert journal.read_document(path) == {"schema": "1.0.0", "a": 1}


def test_a_record_without_status_ok_refuses_a_time():
    content = record(8).model_dump(mode="json", by_alias=True)
    content["time"] = {"samples": [0.0], "rounds": 1, "median": 0.0, "best": 0.0}
    with pytest.raises(ValueError, match="a case with status crashed has no time"):
        Record.model_validate(content)
    with pytest.raises(ValueError, match="a case with status ok has a time"):
        Record.model_validate({**content, "time": None, "status": "ok"})
    with pytest.raises(ValueError, match="needs a reason"):
        Record.model_validate({**content, "time": None, "reason": ""})
