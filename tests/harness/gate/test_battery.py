"""The battery asks every probe in every direction, then many calls, then calls that might disturb each other."""

from __future__ import annotations

import collections
import math
from dataclasses import replace

import pytest
import torch

from harness.gate import battery
from harness.gate.battery import Examinee, tasks
from harness.policy import GatePolicy
from impls import contract, discovery, registry
from impls.attention.batched import batched

ATTENTION = registry.problem("attention")
EVERYTHING = frozenset({*registry.FEATURES, "dirty_padding"})


def examinee(function, *, dtype="float32", supports=EVERYTHING, dtypes=registry.DTYPES, devices=("cpu",), **declared):
    limits = contract.Limits(devices, dtypes, supports)
    planted = contract.Implementation(
        problem="attention", name="planted", function=function, limits=(limits,), **declared
    )
    return Examinee(ATTENTION, planted, dtype, "cpu", GatePolicy(), seed=5)


def run(function, title, **declared):
    """Run the one task of a title."""
    found = [task for task in tasks(ATTENTION) if task.title == title]
    assert len(found) == 1
    return battery.run(examinee(function, **declared), found[0])


def test_what_an_implementation_is_known_to_do_wrong_is_not_asked_of_it_and_said():
    planted = examinee(batched)
    limits = contract.Limits(("cpu",), registry.DTYPES, EVERYTHING, faults={"huge padding": "its masks are finite"})
    planted = replace(planted, implementation=replace(planted.implementation, limits=(limits,)))
    outcomes = {
        task.title: battery.run(planted, task)
        for task in tasks(ATTENTION, only="by batch, forward")
        if "padding" in task.title
    }
    known = outcomes["huge padding, by batch, forward"]
    assert known.status == "unsupported"
    assert known.reason == "known to be wrong on huge padding: its masks are finite"
    assert {outcome.status for title, outcome in outcomes.items() if "huge" not in title} <= {"ok", "disagreed"}


def test_a_fault_of_gradients_is_not_asked_backward_alone():
    limits = contract.Limits(
        ("cpu",), registry.DTYPES, EVERYTHING, faults={"strided gradient": "it reads them as dense"}
    )
    planted = examinee(batched)
    planted = replace(planted, implementation=replace(planted.implementation, limits=(limits,)))
    found = {
        task.direction: battery.run(planted, task)
        for task in tasks(ATTENTION, quick=True)
        if task.name == "strided gradient"
    }
    assert found["forward"].status == "ok"
    assert found["backward"].reason == "known to be wrong on strided gradient: it reads them as dense"


def test_every_fault_that_is_declared_is_a_kind_of_inputs_that_is_asked():
    discovery.discover()
    kinds = {word for probe in ATTENTION.PROBES for word in (probe.kind, f"{probe.upstream} gradient")}
    declared = {kind for entry in registry.REGISTRY.entries.values() for one in entry.limits for kind in one.faults}
    assert declared
    assert declared <= kinds


def test_every_probe_is_asked_in_both_directions_but_those_that_spoil_a_row():
    listed = collections.Counter(task.name for task in tasks(ATTENTION)[:-2])
    assert set(listed) == {probe.name for probe in ATTENTION.PROBES}
    for probe in ATTENTION.PROBES:
        assert listed[probe.name] == (1 if probe.spoils_row else 2)
    assert [task.title for task in tasks(ATTENTION)[-2:]] == ["repeated calls, forward", "fresh outputs, forward"]


def test_no_two_tasks_share_a_title():
    titles = [task.title for task in tasks(ATTENTION)]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("problem", ["attention", "multihead", "pooling", "varlen"])
def test_the_quick_battery_is_part_of_the_whole_and_keeps_its_order(problem):
    whole = [task.title for task in tasks(registry.problem(problem))]
    quick = [task.title for task in tasks(registry.problem(problem), quick=True)]
    assert 2 < len(quick) < len(whole)
    assert [title for title in whole if title in quick] == quick


def test_only_what_has_the_text_in_its_title_is_asked():
    assert {task.direction for task in tasks(ATTENTION, only=", backward")} == {"backward"}
    assert tasks(ATTENTION, only="no such thing") == []


def test_honest_arithmetic_agrees_and_the_outcome_says_what_was_asked():
    outcome = run(batched, "repeated calls, forward")
    assert (outcome.status, outcome.reason, outcome.title) == ("ok", "", "repeated calls, forward")
    assert (outcome.implementation, outcome.dtype, outcome.device, outcome.seed) == ("planted", "float32", "cpu", 5)
    assert outcome.agreement.passed


def test_wrong_arithmetic_disagrees_with_its_worst_check_for_a_reason():
    outcome = run(lambda q, *_, **__: torch.zeros_like(q), "repeated calls, forward")
    assert (outcome.status, outcome.agreement.passed) == ("disagreed", False)
    assert "in call 1: out[" in outcome.reason


def test_an_error_in_a_later_call_is_told_with_the_number_of_the_call():
    calls = []

    def tires(q, k, v, **options):
        calls.append(None)
        return batched(q, k, v, **options) * (1.5 if len(calls) == 100 else 1.0)

    outcome = run(tires, "repeated calls, forward")
    assert outcome.status == "disagreed"
    assert "in call 100: out[" in outcome.reason
    assert len(calls) == 100, "the first that disagrees is enough"


def test_an_output_that_a_later_call_writes_into_is_found():
    kept = {}

    def reuses(q, k, v, **options):
        out = kept.setdefault(q.shape, torch.empty_like(q))
        return out.copy_(batched(q, k, v, **options))

    outcome = run(reuses, "fresh outputs, forward")
    assert outcome.status == "disagreed"
    detail = outcome.agreement.checks[0].detail
    assert detail == "output 0 shares memory with an earlier one; output 0 was changed by a later call"


def test_two_buffers_that_are_written_in_turn_are_found():
    calls, kept = [], {}

    def alternates(q, k, v, **options):
        calls.append(None)
        return kept.setdefault(len(calls) % 2, torch.empty_like(q)).copy_(batched(q, k, v, **options))

    outcome = run(alternates, "fresh outputs, forward")
    assert outcome.status == "disagreed"
    assert outcome.agreement.checks[0].detail == "output 0 shares memory with an earlier one"


def test_calls_that_differ_on_the_same_inputs_are_found_unless_they_are_said_to():
    calls = []

    def wanders(q, k, v, **options):
        calls.append(None)
        return batched(q, k, v, **options) * (1 + 1e-7 * len(calls))

    outcome = run(wanders, "fresh outputs, forward")
    (check,) = [check for check in outcome.agreement.checks if not check.passed]
    assert (check.name, check.detail) == ("deterministic", "output 0 differs between two calls with the same inputs")
    assert run(wanders, "fresh outputs, forward", deterministic=False).status == "ok"


def test_what_is_no_tensor_is_refused_by_its_type():
    with pytest.raises(TypeError, match=r"returned NoneType, not torch\.Tensor"):
        run(lambda *_, **__: None, "fresh outputs, forward")


def test_what_an_implementation_raises_rises():
    def fails(*_, **__):
        raise FloatingPointError("boom")

    with pytest.raises(FloatingPointError, match="boom"):
        run(fails, "repeated calls, forward")


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ({"dtypes": ("float16",)}, "no float32 on cpu"),
        ({"devices": ("cuda",)}, "no float32 on cpu"),
    ],
)
def test_where_it_does_not_run_nothing_is_called(declared, reason):
    outcome = run(lambda *_, **__: pytest.fail("called"), "repeated calls, forward", **declared)
    assert (outcome.status, outcome.reason, outcome.agreement) == ("unsupported", reason, None)


def test_features_that_are_not_declared_are_not_asked_for_and_named():
    statuses = collections.Counter()
    for task in tasks(ATTENTION, quick=True):
        outcome = (
            battery.run(examinee(lambda *_, **__: pytest.fail("called"), supports=frozenset()), task)
            if (ATTENTION.features(ATTENTION.parse(task.probe.point), direction=task.direction) | task.probe.needs)
            else None
        )
        if outcome is not None:
            statuses[outcome.status] += 1
            assert outcome.reason.startswith("no ")
    assert set(statuses) == {"unsupported"}


def test_an_implementation_that_fixes_an_axis_leaves_out_points_without_it_and_a_wrong_point_of_others_rises():
    task = tasks(ATTENTION, only="repeated calls")[0]
    fixed = examinee(batched, fixes={"kv_heads": 3})
    outcome = battery.run(fixed, task)
    assert outcome.status == "unsupported"
    assert "must be a multiple of kv_heads 3" in outcome.reason
    wrong = battery.Task("x", contract.Probe("x", {"n": -1}), "forward", task.check)
    with pytest.raises(ValueError, match="n_q"):
        battery.run(examinee(batched), wrong)


def test_a_row_that_a_probe_spoils_must_not_look_finite_and_must_not_spread():
    (task,) = [task for task in tasks(ATTENTION) if task.probe.spoils_row][:1]
    assert battery.run(examinee(batched), task).status == "ok"
    hidden = battery.run(examinee(lambda q, k, v, **o: batched(q, k, v, **o).nan_to_num()), task)
    assert "is finite at" in hidden.reason
    spread = battery.run(examinee(lambda q, k, v, **o: batched(q, k, v, **o) + q.sum() * 0.0 + math.nan), task)
    assert "not finite" in spread.reason
