"""What compiles for each shape is asked on few shapes, which have between them what single probes are about."""

from __future__ import annotations

import pytest

from harness.gate import few_shapes
from harness.gate.battery import tasks
from harness.gate.few_shapes import on_few_shapes, shapes_of
from impls import registry

ATTENTION = registry.problem("attention")
PLAIN = frozenset({"causal", "valid_lens", "gqa", "d_v", "dead_rows", "backward"})
BATTERY = tasks(ATTENTION)


def features(found, *, direction="backward"):
    return frozenset().union(
        *(ATTENTION.features(ATTENTION.parse(t.probe.point), direction=direction) | t.probe.needs for t in found)
    )


def supported(found, supports):
    return [one for one in found if features([one], direction=one.direction) <= supports]


@pytest.mark.parametrize("supports", [PLAIN, PLAIN | {"window", "softcap", "bias", "dirty_padding"}, {"causal"}])
def test_few_shapes_have_each_feature_kind_layout_and_gradient_that_is_supported(supports):
    found = on_few_shapes(BATTERY, ATTENTION, supports=supports)
    mine, all_of_them = supported(found, supports), supported(BATTERY, supports)
    told = few_shapes._all_facets
    assert frozenset().union(*map(told, mine)) == frozenset().union(*map(told, all_of_them))
    assert features(mine) == features(all_of_them)
    assert shapes_of(mine) <= 20 < shapes_of(BATTERY) / 5


def test_the_fewest_have_each_feature_and_the_point_with_most_kinds_of_values():
    few = on_few_shapes(BATTERY, ATTENTION, supports=PLAIN)
    fewest = on_few_shapes(BATTERY, ATTENTION, supports=PLAIN, layouts=False)
    assert shapes_of(supported(fewest, PLAIN)) < shapes_of(supported(few, PLAIN)) / 1.5
    assert features(supported(fewest, PLAIN)) == features(supported(BATTERY, PLAIN))
    assert {"large logits", "needle", "sink", "shifted values"} <= {task.probe.kind for task in fewest}


def test_of_a_point_that_is_kept_every_task_is_in_its_order():
    found = on_few_shapes(BATTERY, ATTENTION, supports=PLAIN, layouts=False)
    points = [task.probe.point for task in found]
    assert [task.title for task in found] == [task.title for task in BATTERY if task.probe.point in points]


def test_who_supports_no_probe_is_asked_all_as_it_declines_them():
    assert on_few_shapes(tasks(ATTENTION, only="window"), ATTENTION, supports=()) == tasks(ATTENTION, only="window")


@pytest.mark.parametrize("problem", ["multihead", "varlen"])
def test_other_problems_have_few_shapes_too(problem):
    of = registry.problem(problem)
    battery = tasks(of)
    found = on_few_shapes(battery, of, supports=registry.FEATURES, layouts=False)
    assert 0 < shapes_of(found) < shapes_of(battery)
