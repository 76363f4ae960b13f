"""The battery of attention covers its options."""

from __future__ import annotations

import pytest

from harness.gate.battery import tasks
from impls import registry
from impls.attention._probes import ONE_WAY, OPTIONS, PAIRS, TOGETHER
from impls.covering import wanted


def setting(probe):
    """Read a probe back as options."""
    point = probe.point
    return {
        **{name: point[name] for name in ("n_q", "n_k", "causal", "valid_lens", "kv_heads", "batch", "d")},
        "group": point["heads"] // point["kv_heads"],
        "d_v": "d" if point["d_v"] == point["d"] else point["d_v"],
        "kind": probe.kind,
        "upstream": probe.upstream,
    }.items()


@pytest.mark.parametrize(("probes", "strength", "more"), [(ONE_WAY, 1, ()), (PAIRS, 2, TOGETHER)])
def test_the_battery_of_attention_covers_its_options(probes, strength, more):
    settings = [setting(probe) for probe in probes]
    lacking = [held for held in wanted(OPTIONS, strength=strength, more=more) if not any(held <= s for s in settings)]
    assert lacking == []


def test_each_option_of_the_array_is_met_in_both_directions_and_some_by_quick():
    listed = tasks(registry.problem("attention"))
    assert {task.direction for task in listed if task.probe in PAIRS} == {"forward", "backward"}
    quick = {task.probe.kind for task in tasks(registry.problem("attention"), quick=True)}
    assert quick >= set(OPTIONS["kind"])
