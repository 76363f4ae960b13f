"""The schedule of a fleet comes within a tenth of the least makespan, where there are chunks enough to even out."""

from __future__ import annotations

import random

import pytest

from harness.records import PlannedCase, Prediction
from tests.evidence import fleet_schedule as fleet
from tests.support.runs import ok_case


def plan(curves, cases):
    draw = random.Random(2)
    found = []
    for curve in range(curves):
        call = draw.lognormvariate(-5.0, 2.0)
        cost = Prediction(operations=1, extra_bytes=0, resident_bytes=0, seconds=call)
        for number in range(cases):
            names = {"scenario": f"s{curve}", "id": f"{curve} {number}", "device": "cuda:0"}
            found.append(PlannedCase(case=ok_case().model_copy(update=names), predicted=cost))
    return found


@pytest.fixture(scope="module")
def found():
    """Cut a plan of a fifth of an hour or more for each of eight devices."""
    planned = plan(curves=200, cases=30)
    chunks = fleet.chunks_of(planned, devices=8)
    assert len(chunks) > 8 * 4
    return chunks, fleet.shards(planned, count=8, seconds=fleet.seconds)


def test_chunks_given_out_as_devices_become_free_end_within_a_tenth_of_the_lower_bound(found):
    outcome = fleet.simulate(found[0], devices=8, draws=50)
    assert outcome.median <= 1.10
    assert outcome.ratios[0] >= 1.0


def test_the_measure_can_fail_few_chunks_even_out_nothing(found):
    # Of nine equal chunks on eight devices one comes after all others.
    assert fleet.as_predicted([found[0][-1]] * 9, devices=8) == pytest.approx(2 / (9 / 8))


def test_one_shard_a_device_pays_for_what_predictions_miss(found):
    chunks, shards = found
    given, cut = fleet.simulate(chunks, devices=8, draws=50), fleet.simulate_shards(shards, draws=50)
    assert cut.median > given.median


def test_a_schedule_is_what_it_is_by_hand():
    chunks = [fleet.Chunk((), seconds) for seconds in (4.0, 3.0, 2.0)]
    assert fleet.top_up(chunks, true=[4.0, 3.0, 2.0], speeds=[1.0, 1.0]) == 5.0
    assert fleet.lower_bound([4.0, 3.0, 2.0], [1.0, 1.0]) == 4.5
    assert fleet.lower_bound([9.0, 1.0], [1.0, 2.0]) == 4.5


def test_copies_of_a_plan_are_curves_of_their_own():
    twice = fleet.plan_of_a_fleet(plan(curves=2, cases=3), copies=2)
    assert len({one.case.id for one in twice}) == 12
    assert len(fleet.curves(twice)) == 4


def shorts_at_most(*, longs, lengths, devices, deadline):
    """Return how many chunks of the shorter length fit beside all of the longer one before a deadline."""
    long, short = lengths
    most = {0: 0}
    for _ in range(devices):
        most_now = {}
        for held, shorts in most.items():
            for more in range(min(int(deadline // long), longs - held) + 1):
                fit = shorts + int((deadline - more * long) // short)
                most_now[held + more] = max(most_now.get(held + more, 0), fit)
        most = most_now
    return most.get(longs, -1)


def test_of_few_long_curves_no_schedule_ends_sooner():
    # A quarter of an hour a device of the default scenarios alone, which are two curves: the bound can't be reached.
    lengths, count, devices = (371.0, 139.0), 113, 64
    found = [fleet.Chunk((), length) for length in lengths for _ in range(count)]
    ratio = fleet.as_predicted(found, devices=devices)
    assert ratio == pytest.approx(1.133, abs=0.001)
    ends = ratio * count * sum(lengths) / devices
    assert shorts_at_most(longs=count, lengths=lengths, devices=devices, deadline=ends) >= count
    assert shorts_at_most(longs=count, lengths=lengths, devices=devices, deadline=ends - 0.1) < count
