"""The engine is asked for where several devices are, and its own load is off."""

from __future__ import annotations

import pytest

from harness.cluster import quiet


def test_without_the_engine_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(quiet.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(quiet.MissingEngineError, match=r"pip install 'attnbench\[cluster\]'"):
        quiet.settle()


def test_each_setting_is_one_that_the_engine_has():
    dask = pytest.importorskip("dask")
    pytest.importorskip("distributed")
    known = {name: dask.config.get(name, default=None) for name in quiet.SETTINGS}
    assert [name for name, value in known.items() if value is None] == []
