"""Whatever stands in the place of a document is refused in a line for each mistake, and waits for nobody."""

from __future__ import annotations

import json
import os

import pydantic
import pytest

from harness.lesson import facts
from harness.results import documents, journal
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


def put_unreadable(path):
    # It opens, and its first bytes are nobody's.
    path.symlink_to("/proc/self/mem")


def put_text(text):
    return lambda path: path.write_bytes(text if isinstance(text, bytes) else text.encode())


PUT = {
    "a directory": (put_directory, "is a directory"),
    "a link to itself": (put_loop, "can't be read: Too many levels"),
    "a file whose disk is broken": (put_unreadable, "can't be read: Input/output error"),
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


@pytest.mark.parametrize(
    "text",
    ['{"a": 1e400}', "[NaN]", "[-Infinity]", '{"a": 1e99999}', "[1.5E+400 , 1]", "1e400\n", "[" + "9" * 301 + "]"],
)
def test_a_number_that_no_report_can_show_is_refused(text):
    with pytest.raises(documents.JsonMistakeError):
        documents.read_json(text)


@pytest.mark.parametrize("before", range(documents.LONG_STRIDE + 1))
def test_a_number_of_too_many_digits_is_found_wherever_it_begins(before):
    with pytest.raises(documents.JsonMistakeError, match="301 digits"):
        documents.read_json("[" + " " * before + "9" * 301 + "]")
    assert documents.read_json("[" + " " * before + "9" * 300 + "]") == [int("9" * 300)]


def test_of_a_line_of_numbers_neither_each_digit_nor_each_value_is_looked_at(monkeypatch):
    monkeypatch.setattr(documents, "LONG", None)
    monkeypatch.setattr(documents, "LARGE_NUMBER", None)
    monkeypatch.setattr(documents, "check_depth", None)
    line = {"case": "0a3e1234bc", "samples": [0.1 + number / 7 for number in range(100)]}
    assert documents.read_json(json.dumps(line)) == line


def test_words_and_numbers_that_only_look_suspect_are_read():
    text = '{"a": "NaN and Infinity", "b": 1e300, "c": 1E+100, "d": "' + "9" * 400 + '", "e": -1e-400}'
    assert documents.read_json(text) == {"a": "NaN and Infinity", "b": 1e300, "c": 1e100, "d": "9" * 400, "e": -0.0}


def test_halves_of_characters_are_replaced_in_names_and_values_and_whole_ones_are_kept():
    found = documents.read_json('{"a\\ud800": ["\\udfffb", "\\ud83d\\ude00"]}')
    assert found == {"a\ufffd": ["\ufffdb", "\U0001f600"]}
    json.dumps(found, ensure_ascii=False).encode()


def test_nesting_is_refused_from_one_level_more_than_is_read():
    deep = documents.DEPTH_AT_MOST + 1
    for opened, closed in (("[", "]"), ('{"a": ', "}")):
        documents.read_json(opened * (deep - 1) + "1" + closed * (deep - 1))
        with pytest.raises(documents.JsonMistakeError, match="nests more than 32 deep"):
            documents.read_json(opened * deep + "1" + closed * deep)


def test_a_mark_of_byte_order_is_no_mistake_and_a_missing_file_is_none(tmp_path):
    path = tmp_path / "x.json"
    assert documents.read_document(path) is None
    assert documents.read_document(path / "below") is None
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert documents.read_document(path) == {"a": 1}


def test_a_name_that_no_file_can_have_is_refused_in_a_line(tmp_path):
    with pytest.raises(JournalError, match="can't be read"):
        documents.read_document(tmp_path / "a\0b")


def test_lines_come_with_their_numbers_blank_ones_left_out_and_long_ones_as_none(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "LINE_BYTES", 8)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"one\n\n  \n" + b"x" * 30 + b"\n1234567\nlast \xff")
    assert list(documents.lines(path)) == [(1, "one\n"), (4, None), (5, "1234567\n"), (6, "last \ufffd")]


def test_a_line_that_is_too_long_to_the_end_of_the_file_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "LINE_BYTES", 8)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"x" * 33)
    assert list(documents.lines(path)) == [(1, None)]


def test_few_of_many_mistakes_are_listed_and_the_rest_are_counted():
    class Wanted(pydantic.BaseModel):
        numbers: list[int]

    with pytest.raises(JournalError) as refused:
        documents.read_model(Wanted, {"numbers": ["x"] * 20}, source="f.json")
    said = str(refused.value).splitlines()
    assert len(said) == documents.MISTAKES_AT_MOST + 1
    assert said[0].startswith("f.json: numbers.0: should be a valid integer")
    assert said[-1] == f"f.json: and {20 - documents.MISTAKES_AT_MOST} more mistakes"


def test_a_text_from_a_file_is_shown_short_and_without_what_a_terminal_obeys():
    assert documents.brief("plain") == "plain"
    assert "\x1b" not in documents.brief("\x1b[2J")
    assert "\n" not in documents.brief("a\nb")
    long = documents.brief("x" * 1000)
    assert long == "x" * documents.MISTAKE_CHARACTERS + "…"
