"""Which cases get a graph, what their rounds say of launching, and where the figures go."""

from __future__ import annotations

import pytest

from harness.policy import DEFAULT
from harness.records import Launch, Ran, Record, Round
from harness.results import closing
from harness.results.journal import Journal
from harness.results.run import read_run
from harness.runner import replays
from reports.exports import export
from reports.frame import load
from tests.harness.results.test_closing import OPERATIONS, case, prepared
from tests.support import runs

TIMING = DEFAULT.timing


def short(**changes):
    return case().model_copy(update={"device": "cuda:0", **changes})


def visit(seconds=1e-5, *, host=0.0, **graph):
    return Round(
        index=0,
        started=0.0,
        calls_per_sample=100,
        samples=[seconds, 1.1 * seconds, 0.9 * seconds],
        host_seconds=[host] * 3 if host else [],
        **graph,
    )


def test_calls_below_the_launch_floor_get_a_graph():
    assert replays.is_wanted(short(), [visit(1e-5)], policy=TIMING)
    assert not replays.is_wanted(short(), [visit(1e-4)], policy=TIMING)


def test_a_call_that_the_host_launches_no_faster_than_it_runs_gets_one_too():
    assert replays.is_wanted(short(), [visit(1e-4, host=1.2e-4)], policy=TIMING)
    assert not replays.is_wanted(short(), [visit(1e-4, host=2e-5)], policy=TIMING)
    assert not replays.is_wanted(short(), [visit(1.0, host=1.2)], policy=TIMING)


@pytest.mark.parametrize(
    "changes", [{"device": "cpu"}, {"direction": "backward"}, {"direction": "forward+backward"}, {"cache": "cold"}]
)
def test_other_cases_get_none(changes):
    assert not replays.is_wanted(short(**changes), [visit(1e-6)], policy=TIMING)
    assert replays.predicted_seconds(short(**changes), 1e-6, block=1e-3, policy=TIMING) == 0.0


def test_a_graph_is_timed_in_a_few_rounds_only():
    done = [visit(graph_samples=[1e-6]) for _ in range(TIMING.graph_rounds)]
    assert replays.is_wanted(short(), [*done[1:], visit()], policy=TIMING)
    assert not replays.is_wanted(short(), [*done, visit()], policy=TIMING)


def test_a_call_of_thousands_of_kernels_gets_a_reason_instead_of_a_graph():
    assert replays.too_many_kernels(16_384, policy=TIMING) == "16,384 kernels per call: launching them is what it costs"
    assert replays.too_many_kernels(12, policy=TIMING) == replays.too_many_kernels(None, policy=TIMING) == ""


def test_device_host_and_call_are_told_apart_with_the_share_that_was_queued():
    visits = [visit(5e-6, host=12e-6, call_seconds=12.5e-6, queued=[True, True, index > 0]) for index in range(4)]
    time = closing.time_of(visits, floor=None, policy=DEFAULT, stop_reason="rounds")
    assert time.median == pytest.approx(5e-6)
    assert (time.host_seconds, time.call_seconds) == (12e-6, 12.5e-6)
    assert time.queued_share == pytest.approx(11 / 12)
    assert time.is_launch_bound
    assert not time.model_copy(update={"host_seconds": 4e-6}).is_launch_bound
    assert not time.model_copy(update={"host_seconds": None}).is_launch_bound


def test_a_graph_that_failed_is_not_tried_again():
    failed = visit(graph_reason="can't be captured")
    assert not replays.is_wanted(short(), [failed, visit()], policy=TIMING)


def test_the_time_of_a_graph_is_in_the_prediction_of_a_round():
    assert replays.predicted_seconds(short(), 1e-5, block=1e-3, policy=TIMING) > 3e-3
    assert replays.predicted_seconds(short(), 1e-4, block=1e-3, policy=TIMING) == 0.0
    # 20 kernels take the host 120 us to launch.
    assert replays.predicted_seconds(short(), 1e-4, launches=20, block=1e-3, policy=TIMING) > 3e-3


def closed_with_graph(seconds, graph):
    visits = [
        visit(seconds, graph_samples=[graph] * 3, graph_calls=8, graph_inputs=4).model_copy(update={"index": index})
        for index in range(5)
    ]
    return closing.close(
        case(),
        prepared(),
        visits,
        floor=None,
        policy=DEFAULT,
        environment=runs.environment("cpu", "x"),
        stop_reason="rounds",
    )


def test_a_graph_faster_than_the_ceiling_has_no_figure_and_the_case_stays():
    possible = OPERATIONS / 9e10
    record = closed_with_graph(2 * possible, 0.2 * possible)
    assert record.status == "ok"
    assert record.launch.graph is None
    assert "skipped work?" in record.launch.reason
    assert closed_with_graph(2 * possible, possible).launch.graph == pytest.approx(possible)


def test_launching_reaches_the_table_and_the_exports(tmp_path):
    record = runs.ok_record("batched")
    launched = Launch(graph=3e-6, calls=64, inputs=4, samples=[3e-6], overhead=7e-6)
    record = record.model_copy(update={"launch": launched, "ran": Ran(operators={"k": 1}, kernel_seconds=2e-6)})
    with Journal(tmp_path) as log:
        log.append_record(record)
        log.append_record(runs.ok_record("einsum"))
    table = load(tmp_path).set_index("implementation")
    assert table.loc["batched", ["graph_s", "launch_overhead_s", "kernel_s"]].tolist() == [3e-6, 7e-6, 2e-6]
    assert table.loc["einsum", ["graph_s", "launch_overhead_s", "kernel_s"]].isna().all()
    written = export.export(read_run(tmp_path), to="csv").decode().splitlines()
    names = written[0].split(",")
    assert dict(zip(names, written[1].split(","), strict=False))["graph_s"] == "3e-06"
    assert Record.model_validate_json(record.model_dump_json(by_alias=True)) == record
