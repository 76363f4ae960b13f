"""Ceilings are kept for a day, by the environment; a cache that can't be had changes nothing."""

from __future__ import annotations

import pytest

from harness.records import Ceiling
from harness.runner import kept

FOUND = [Ceiling(name="matmul float32", value=1e11, unit="FLOP/s", how="here", size=512)]


def read(place, *, environment="abc", dtypes=("float32",), day="2026-03-01"):
    return kept.read(environment, dtypes=dtypes, place=place, day=day)


def test_what_was_measured_today_is_found_again(tmp_path):
    place = tmp_path / "new" / "folder"
    kept.write("abc", FOUND, place=place, day="2026-03-01")
    assert read(place) == FOUND
    assert [file.name for file in place.iterdir()] == ["ceilings-abc.json"]


@pytest.mark.parametrize("changes", [{"day": "2026-03-02"}, {"environment": "other"}, {"dtypes": ["bfloat16"]}])
def test_another_day_machine_or_dtype_is_measured(tmp_path, changes):
    kept.write("abc", FOUND, place=tmp_path, day="2026-03-01")
    assert read(tmp_path, **changes) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"environment_id": "abc"}', "\0"])
def test_a_file_that_can_not_be_read_is_none(tmp_path, content):
    (tmp_path / "ceilings-abc.json").write_text(content)
    assert read(tmp_path) == []


def test_no_cache_is_no_matter(tmp_path):
    taken = tmp_path / "file"
    taken.write_text("")
    kept.write("abc", FOUND, place=taken / "below", day="2026-03-01")
    kept.write("abc", FOUND, place=None, day="2026-03-01")
    assert read(taken / "below") == read(None) == []


def test_the_cache_is_where_the_user_keeps_caches(monkeypatch, tmp_path):
    assert kept.folder({"XDG_CACHE_HOME": "/somewhere"}).as_posix() == "/somewhere/attnbench"
    monkeypatch.setattr(kept.Path, "home", lambda: tmp_path)
    assert kept.folder({}) == tmp_path / ".cache" / "attnbench"

    def homeless():
        raise RuntimeError

    monkeypatch.setattr(kept.Path, "home", homeless)
    assert kept.folder({}) is None
