"""A covering array holds every combination that it promises, in few rows, and is the same everywhere."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from harness.gate.battery import tasks
from impls import registry
from impls.attention._probes import ONE_WAY, OPTIONS, PAIRS, TOGETHER
from impls.covering import cover, wanted


@pytest.mark.parametrize("strength", [1, 2, 3])
def test_every_combination_occurs(strength):
    options = {"a": (1, 2, 3), "b": ("x", "y"), "c": (None, 0.5), "d": (False, True)}
    rows = cover(options, strength=strength)
    assert len(rows) < 3 * 2 * 2 * 2
    for names in itertools.combinations(options, strength):
        seen = {tuple(row[name] for name in names) for row in rows}
        assert seen == set(itertools.product(*(options[name] for name in names)))


def test_the_same_rows_come_in_every_process():
    code = "from impls.attention._probes import PAIRS; print([p.name for p in PAIRS])"
    texts = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {f"{[probe.name for probe in PAIRS]}\n"}


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
