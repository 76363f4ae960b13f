"""The waits of a sweep fit the engine's heartbeats."""

from __future__ import annotations

from harness.cluster.seen import Patience


def test_a_worker_is_silent_after_many_heartbeats():
    # Heartbeats come each half second for ten workers, and each two for two hundred.
    assert Patience().quiet >= 5 * 2.0
    assert Patience().lonely < Patience().landing
