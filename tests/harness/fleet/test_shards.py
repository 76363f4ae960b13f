"""Shards: whole curves, each case once, balanced by seconds, alike on every machine."""

from __future__ import annotations

import random

import pytest

from harness.fleet import shards
from harness.records import PlannedCase, Prediction, case_id
from tests.support.runs import ok_case


def planned(scenario="s", n=8, *, implementation="loop", dtype="float32", also=(), seconds=1.0, skip=None):
    known = ok_case(implementation)
    changes = {"scenario": scenario, "point": {"n": n}, "dtype": dtype, "also": list(also)}
    place = {name: changes.get(name, getattr(known, name)) for name in ("problem", "point", "dtype", "device")}
    identity = case_id(**place, direction=known.direction, cache=known.cache, implementation=implementation)
    predicted = Prediction(operations=1, extra_bytes=0, resident_bytes=0, seconds=seconds)
    case = known.model_copy(update={**changes, "id": f"{scenario} {identity}"})
    return PlannedCase(case=case, predicted=predicted, skip=skip, reason="why" if skip else "")


def seconds(one):
    return one.predicted.seconds if one.skip is None else 0.0


def sweep(scenario, *sizes, **more):
    return [planned(scenario, n, implementation=name, **more) for n in sizes for name in ("loop", "flash")]


def ids(chunk):
    return [one.case.id for one in chunk.cases]


def a_plan(seed=7):
    draw = random.Random(seed)
    found = []
    for number in range(20):
        for dtype in ("float32", "bfloat16"):
            found += sweep(f"s{number}", *range(4, 9), dtype=dtype, seconds=draw.lognormvariate(0.0, 0.8))
    return found


@pytest.mark.parametrize("count", [1, 3, 8, 64])
def test_the_union_of_shards_is_the_plan_each_case_once_and_no_curve_is_cut(count):
    plan = a_plan()
    found = shards.shards(plan, count=count, seconds=seconds)
    assert len(found) == count
    assert sorted(name for chunk in found for name in ids(chunk)) == sorted(one.case.id for one in plan)
    held = [{(one.case.scenario, one.case.dtype) for one in chunk.cases} for chunk in found]
    assert sum(map(len, held)) == 40


def test_the_longest_curve_goes_first_so_that_shards_take_about_as_long():
    plan = a_plan()
    loads = [chunk.seconds for chunk in shards.shards(plan, count=4, seconds=seconds)]
    assert max(loads) <= 1.05 * sum(loads) / len(loads)
    alone = sweep("dear", 8, seconds=50.0) + sweep("a", 8, 9) + sweep("b", 8)
    assert [len(chunk.cases) for chunk in shards.shards(alone, count=2, seconds=seconds)] == [2, 6]


def test_shards_depend_on_the_cases_and_their_order_alone():
    plan = a_plan()
    again = [one.model_copy(deep=True) for one in plan]
    assert shards.shards(plan, count=5, seconds=seconds) == shards.shards(again, count=5, seconds=seconds)


def test_curves_of_scenarios_that_share_a_case_stay_together():
    plan = [*sweep("a", 8, 16), planned("a", 32, also=["b"]), *sweep("b", 64), *sweep("c", 8)]
    assert [len(curve) for curve in shards.curves(plan)] == [7, 2]


def test_a_curve_of_which_nothing_runs_goes_where_something_does():
    plan = [*sweep("gone", 8, skip="unsupported"), *sweep("a", 8)]
    assert [len(chunk.cases) for chunk in shards.shards(plan, count=2, seconds=seconds)] == [4, 0]


def test_chunks_take_about_the_target_and_have_the_least_number_of_cases():
    plan = a_plan()
    found = shards.chunks(plan, target_seconds=60.0, least_cases=20, seconds=seconds)
    assert sorted(name for chunk in found for name in ids(chunk)) == sorted(one.case.id for one in plan)
    assert min(len(chunk.cases) for chunk in found) >= 20
    assert len(found) > 4
    assert [chunk.seconds for chunk in found] == sorted((chunk.seconds for chunk in found), reverse=True)
    whole = shards.chunks(plan[:10], target_seconds=1e-3, least_cases=20, seconds=seconds)
    assert [ids(chunk) for chunk in whole] == [[one.case.id for one in plan[:10]]]


def test_the_bridge_is_the_baselines_and_neither_too_short_nor_too_long():
    plan = [planned("a", n, seconds=n * 1e-3) for n in (1, 4, 64)] + [planned("a", 5, implementation="flash")]
    assert shards.bridge_of(plan, baseline="loop", call_seconds=seconds) == plan[1]
    assert shards.bridge_of(plan[2:], baseline="loop", call_seconds=seconds) == plan[2]
    assert shards.bridge_of(plan, baseline="none", call_seconds=seconds) is None


def test_every_part_measures_the_bridge_and_only_where_it_is_a_guest_besides_its_own_cases():
    plan = sweep("a", 8) + sweep("b", 8)
    first, second = shards.shards(plan, count=2, seconds=seconds)
    cases, part = shards.with_bridge(plan, first, name="1/2", bridge=plan[0])
    assert (cases, part.is_guest) == ([*first.cases], False)
    cases, part = shards.with_bridge(plan, second, name="2/2", bridge=plan[0])
    assert (cases, part.is_guest, part.bridge) == ([*second.cases, plan[0]], True, plan[0].case.id)
    assert part.whole == {one.case.id: one.case.label for one in plan}


def test_a_chunk_is_a_twentieth_of_a_devices_share_and_neither_very_short_nor_long():
    assert shards.target_seconds(64 * 3600.0, devices=64) == 180.0
    assert shards.target_seconds(600.0, devices=8) == shards.CHUNK_SECONDS_AT_LEAST
    assert shards.target_seconds(1e6, devices=8) == shards.CHUNK_SECONDS_AT_MOST
