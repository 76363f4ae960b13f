"""The time of a sweep is shared by chunks: what won't be measured counts for nothing, and starts come first."""

from __future__ import annotations

import pytest

from harness.cluster import sharing
from harness.fleet.shards import Chunk
from harness.policy import FAST
from harness.records import PlannedCase
from tests.support.scripted import plan_of
from tests.support.steps import planned

CHEAP, DEAR, SKIPPED = planned(n=16, seconds=1e-4), planned(n=32, seconds=100.0), planned(n=64)
PLAN = plan_of(CHEAP, DEAR, SKIPPED.model_copy(update={"skip": "predicted_oom"}), policy=FAST)


def test_what_fits_no_device_weighs_nothing():
    weigh = sharing.weights(PLAN, devices=1, seconds=100.0)
    assert weigh(CHEAP) > 0.0
    assert weigh(DEAR) == weigh(SKIPPED) == 0.0
    assert sharing.weights(PLAN, devices=1, seconds=1e5)(DEAR) > 500.0
    # A hundred devices have the time that one lacks.
    assert sharing.weights(PLAN, devices=100, seconds=100.0)(DEAR) > 500.0


@pytest.mark.parametrize("devices", [1, 2, 3, 8])
@pytest.mark.parametrize("total", [10.0, 190.0, 1000.0, 1e5])
def test_there_are_as_many_chunks_for_each_device(total, devices):
    each = total / devices / sharing.chunk_seconds(total, devices=devices)
    assert each == pytest.approx(max(1, round(each)))
    assert 80.0 <= sharing.chunk_seconds(total, devices=devices) <= 900.0 or each == pytest.approx(1.0)


def test_chunks_take_together_what_their_devices_have():
    chunks = [Chunk((CHEAP,), seconds) for seconds in (300.0, 200.0, 100.0)]
    assert sharing.rooms(PLAN, chunks, devices=3, seconds=70.0) == [70.0] * 3
    found = sharing.rooms(PLAN, chunks, devices=2, seconds=400.0)
    assert sum(found) == pytest.approx(800.0)
    start = sharing.beside(PLAN, cases=1)
    assert (found[0] - start) / (found[2] - start) == pytest.approx(3.0)
    # A curve that is long by itself takes no more than a device has.
    long = [Chunk((CHEAP,), seconds) for seconds in (900.0, 50.0, 50.0)]
    assert sharing.rooms(PLAN, long, devices=2, seconds=400.0)[0] == 400.0


def test_one_chunk_may_take_what_a_run_may():
    chunk = Chunk((PlannedCase(case=CHEAP.case),), 10.0)
    assert sharing.rooms(PLAN, [chunk], devices=1, seconds=70.0) == [70.0]
