"""Probes are listed as the battery has them, and run by their place in the list."""

from __future__ import annotations

import pytest
import torch

from harness.gate import battery
from harness.protocol import messages
from harness.worker import probing
from impls import registry
from tests.support.benches import bench_on


@pytest.fixture
def bench():
    steps = []
    return bench_on(announce=steps.append, watch=None), steps


def listed(bench, **asked):
    return probing.list_probes(bench[0], messages.ListProbes(**{"problem": "attention", **asked})).probes


def probed(bench, index, *, implementation="einsum", **asked):
    request = messages.RunProbe(
        **{"problem": "attention", "dtype": "float32", "seed": 1, **asked}, index=index, implementation=implementation
    )
    return probing.run_probe(bench[0], request).outcome


def test_every_task_of_the_battery_has_its_place_and_its_length(bench):
    tasks = battery.tasks(registry.problem("attention"))
    found = listed(bench)
    assert [(one.probe, one.direction) for one in found] == [(task.name, task.direction) for task in tasks]
    assert [one.length for one in found] == [task.probe.length for task in tasks]
    assert max(one.length for one in found) > 1000


def test_quick_probes_and_those_of_a_title_are_fewer(bench):
    whole, quick, only = listed(bench), listed(bench, quick=True), listed(bench, only="causal")
    assert 0 < len(quick) < len(whole)
    assert 0 < len(only) < len(whole)
    assert all("causal" in f"{one.probe}, {one.direction}" for one in only)
    assert listed(bench, only="no such probe") == []


@pytest.mark.parametrize("index", [0, 2, -1])
def test_a_probe_is_run_by_its_place_in_the_list_that_was_asked_for(bench, index):
    asked = {"quick": True, "only": "forward"}
    wanted = listed(bench, **asked)[index]
    outcome = probed(bench, index, **asked)
    assert (outcome.probe, outcome.direction, outcome.status) == (wanted.probe, wanted.direction, "ok")
    assert (outcome.implementation, outcome.dtype, outcome.device, outcome.seed) == ("einsum", "float32", "cpu", 1)
    assert bench[1] == [outcome.title]


@pytest.mark.parametrize("shapes", ["few", "fewest"])
def test_on_few_shapes_a_probe_is_run_by_its_place_there(bench, shapes):
    request = messages.ListProbes(problem="attention", shapes=shapes, implementation="einsum")
    few, whole = (probing.list_probes(bench[0], one) for one in (request, messages.ListProbes(problem="attention")))
    assert 0 < len(few.probes) < len(whole.probes)
    assert 0 < few.points < whole.points / 3
    outcome = probed(bench, len(few.probes) // 2, implementation="einsum", shapes=shapes)
    wanted = few.probes[len(few.probes) // 2]
    assert (outcome.probe, outcome.direction) == (wanted.probe, wanted.direction)


def test_a_place_that_no_probe_has_rises(bench):
    with pytest.raises(IndexError):
        probed(bench, 10_000)


def test_an_unknown_implementation_rises_with_a_suggestion(bench):
    with pytest.raises(KeyError, match="did you mean 'einsum'"):
        probed(bench, 0, implementation="einsumm")


def test_a_wrong_implementation_disagrees_with_the_reason_and_what_it_does_not_support_is_not_asked(bench, planted):
    planted(lambda q, *_, **__: torch.zeros_like(q))
    titles = {f"{one.probe}, {one.direction}": place for place, one in enumerate(listed(bench))}
    wrong = probed(bench, titles["repeated calls, forward"], implementation="planted")
    assert (wrong.status, wrong.agreement.passed) == ("disagreed", False)
    assert "times its budget; in call 1: out[" in wrong.reason
    backward = next(place for title, place in titles.items() if title.endswith("backward"))
    unasked = probed(bench, backward, implementation="planted")
    assert (unasked.status, unasked.agreement) == ("unsupported", None)
    assert "backward" in unasked.reason
