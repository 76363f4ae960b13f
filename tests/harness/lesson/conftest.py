"""The lesson's facts, found once for all of its tests."""

from __future__ import annotations

import pytest

from harness.lesson import systems


@pytest.fixture(scope="session")
def facts():
    return systems.lesson()
