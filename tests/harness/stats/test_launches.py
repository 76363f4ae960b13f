"""What launching costs is what calls in a row take less the graph, and a graph that went wrong leaves its reason."""

from __future__ import annotations

import pytest

from harness.policy import DEFAULT
from harness.records import Launch
from harness.results import closing
from harness.stats import launches
from tests.harness.results.test_closing import closed
from tests.harness.runner.test_replays import TIMING, visit


def of_rounds(visits):
    time = closing.time_of(visits, floor=None, policy=DEFAULT, stop_reason="rounds")
    return launches.launch_of(visits, time=time, policy=TIMING)


def test_overhead_is_what_calls_in_a_row_take_less_the_graph_and_not_device_time_less_it():
    visits = [visit(5e-6, graph_samples=[2e-6, 3e-6, 4e-6], graph_calls=64, graph_inputs=4) for _ in range(5)]
    assert of_rounds(visits).overhead is None
    waited = [one.model_copy(update={"call_seconds": 1e-5}) for one in visits]
    found = of_rounds(waited)
    assert found.graph == pytest.approx(3e-6)
    assert found.low <= found.graph <= found.high
    assert found.overhead == pytest.approx(7e-6)
    assert (len(found.samples), found.calls, found.inputs) == (15, 64, 4)


def test_one_round_that_went_wrong_leaves_a_reason_and_no_figure():
    good = visit(graph_samples=[2e-6], graph_calls=64, graph_inputs=4)
    found = of_rounds([good, visit(graph_reason="after timing, input set 1 of 4: stale")])
    assert found == Launch(reason="after timing, input set 1 of 4: stale")


def test_without_a_graph_nothing_is_said_of_launching():
    assert of_rounds([visit(), visit()]) is None
    assert closed(seconds=0.1).launch is None


def test_rounds_that_tried_no_graph_are_left_out_of_its_figure():
    tried = visit(5e-6, graph_samples=[2e-6], graph_calls=64, graph_inputs=4)
    found = of_rounds([tried, visit(5e-6), tried, visit(5e-6)])
    assert found.samples == [2e-6, 2e-6]
    assert found.graph == 2e-6


def test_a_reason_without_a_graph_keeps_how_many_calls_were_tried():
    found = of_rounds([visit(graph_reason="can't be captured", graph_calls=8, graph_inputs=2)])
    assert (found.graph, found.calls, found.inputs, found.reason) == (None, 8, 2, "can't be captured")


def test_one_graph_has_no_interval_and_overhead_may_be_none_at_all():
    found = of_rounds([visit(5e-6, call_seconds=2e-6, graph_samples=[2e-6], graph_calls=1, graph_inputs=1)])
    assert (found.low, found.high, found.overhead) == (None, None, 0.0)
