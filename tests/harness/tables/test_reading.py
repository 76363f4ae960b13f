"""Whatever a file is, it is a text or a line that says why not."""

from __future__ import annotations

import os

import pytest

from harness.tables import reading
from harness.tables.reading import printable, read_text


def written(folder, raw):
    (folder / "t.csv").write_bytes(raw)
    return folder / "t.csv"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_is_read_without_its_mark(tmp_path, encoding):
    assert read_text(written(tmp_path, "n,µs\n64,1\n".encode(encoding))) == "n,µs\n64,1\n"


def test_lines_end_alike(tmp_path):
    assert read_text(written(tmp_path, b"a\r\nb\rc\n\n")) == "a\nb\nc\n\n"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"n\n64\n\xb5s\n", r"t\.csv is not a UTF-8 text: byte 0xb5 on line 3 is none; save it as UTF-8"),
        (b"n\n\0\n", r"t\.csv is not a text: it has a NUL character on line 2"),
        (b"\xff\xfen", "is not a UTF-8 text"),
    ],
)
def test_what_is_no_text_is_said_with_its_line(tmp_path, raw, message):
    with pytest.raises(ValueError, match=message):
        read_text(written(tmp_path, raw))


def test_a_file_of_the_most_bytes_is_read_and_one_more_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BYTES_AT_MOST", 2**20)
    assert len(read_text(written(tmp_path, b"a" * 2**20))) == 2**20
    with pytest.raises(ValueError, match=r"t\.csv is larger than 1 MiB, which is the most that is read"):
        read_text(written(tmp_path, b"a" * (2**20 + 1)))


def test_what_is_no_file_is_named_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path, "a directory"), (tmp_path / "pipe", "a named pipe")):
        with pytest.raises(ValueError, match=f"it is {kind}, not a file"):
            read_text(path)
    with pytest.raises(ValueError, match=r"can't read .*absent: No such file or directory"):
        read_text(tmp_path / "absent")


@pytest.mark.parametrize(
    ("value", "text"),
    [("a b", "a b"), ("模型", "模型"), ("a\nb", r"'a\nb'"), ("\x1b[31m", r"'\x1b[31m'"), (2.5, "2.5")],
)
def test_a_name_is_printed_as_it_is_or_escaped(value, text):
    assert printable(value) == text
