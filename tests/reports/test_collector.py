"""The cycle collector rests while a run is read and shown, and is afterwards as it was."""

from __future__ import annotations

import gc

import pytest

from reports import frame
from reports.collector import collector_paused
from tests.support import runs


def test_it_rests_meanwhile_and_goes_on_even_after_an_error():
    seen = []

    def fails():
        with collector_paused():
            seen.append(gc.isenabled())
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert seen == [False]
    assert gc.isenabled()


def test_where_it_was_off_it_stays_off():
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_it_rests_while_a_run_becomes_a_table(tmp_path, monkeypatch):
    seen, read_runs = [], frame.read_runs

    def read(paths):
        seen.append(gc.isenabled())
        return read_runs(paths)

    monkeypatch.setattr(frame, "read_runs", read)
    runs.write_run(tmp_path / "run", [runs.ok_record(n=64)])
    frame.load(tmp_path / "run")
    assert seen == [False]
