"""Whatever stands in the place of a document is refused in a line for each mistake, and waits for nobody."""

from __future__ import annotations

import json
import os

import pytest

from harness.lesson import facts
from harness.results import journal
from harness.results.journal import JournalError


def put_directory(path):
    path.mkdir()


def put_loop(path):
    path.symlink_to(path)


def put_pipe(path):
    os.mkfifo(path)


def put_sparse(path):
    with path.open("wb") as file:
        file.truncate(2**40)


def put_text(text):
    return lambda path: path.write_bytes(text if isinstance(text, bytes) else text.encode())


PUT = {
    "a directory": (put_directory, "is a directory"),
    "a link to itself": (put_loop, "can't be read: Too many levels"),
    "a pipe": (put_pipe, "is no regular file"),
    "a terabyte": (put_sparse, "has 1099511627776 bytes, and at most"),
    "nested JSON": (put_text('{"schema": "1.0.0", "a": ' + "[" * 100_000), "nests more than 32 deep"),
    "a huge integer": (put_text('{"schema": "1.0.0", "id": ' + "1" * 400 + "}"), "a number of 400 digits"),
    "a number beyond float": (put_text('{"schema": "1.0.0", "id": 1e400}'), "1e400 in the place of a finite number"),
    "UTF-16": (put_text('{"schema": "1.0.0"}'.encode("utf-16")), "is no UTF-8 text"),
    "a list": (put_text("[]"), "holds no JSON object"),
    "nothing": (put_text(""), "is not JSON"),
}


@pytest.mark.parametrize("name", [journal.PLAN, journal.ENVIRONMENT, journal.SUMMARY, journal.VERDICTS, "lesson.json"])
@pytest.mark.parametrize("kind", PUT)
def test_whatever_stands_in_place_of_a_document_is_refused_in_a_line(tmp_path, name, kind):
    put, mistake = PUT[kind]
    put(tmp_path / name)
    readers = {
        journal.PLAN: journal.read_plan,
        journal.ENVIRONMENT: journal.read_environment,
        journal.SUMMARY: journal.read_summary,
        journal.VERDICTS: journal.read_verdicts,
        "lesson.json": facts.found,
    }
    with pytest.raises(JournalError) as refused:
        readers[name](tmp_path)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(str(tmp_path / name))
    assert mistake in line


def test_every_mistake_of_a_document_has_its_line(tmp_path):
    path = tmp_path / journal.ENVIRONMENT
    path.write_text(json.dumps({"schema": "1.0.0", "stabel": {}, "volatile": [], "ceilings": [{"name": "x"}]}))
    with pytest.raises(JournalError) as refused:
        journal.read_environment(tmp_path)
    said = [line.removeprefix(f"{path}: ") for line in str(refused.value).splitlines()]
    assert said == [
        "id is missing",
        "stable is missing",
        "volatile: should be a valid dictionary",
        "ceilings.0.value is missing",
        "ceilings.0.unit is missing",
        "ceilings.0.how is missing",
        "stabel is no field of it; did you mean 'stable'?",
    ]
