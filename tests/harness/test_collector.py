"""Collections are put off, and come back as they were whatever happens meanwhile."""

from __future__ import annotations

import gc

import pytest

from harness.collector import uncollected


@uncollected()
def failing():
    raise ValueError(f"collections are {'on' if gc.isenabled() else 'off'}")


def test_collections_come_back_after_an_error_too():
    assert gc.isenabled()
    with pytest.raises(ValueError, match="collections are off"):
        failing()
    assert gc.isenabled()


def test_who_has_them_off_keeps_them_off():
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
