"""A case is prepared, timed on fresh values and held against the oracle again; what is refused has its reason."""

from __future__ import annotations

import mmap
import os
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from harness.instruments import timing, watched
from harness.policy import DEFAULT, TelemetryPolicy
from harness.protocol import messages
from harness.worker import measuring
from harness.worker.workbench import CallsAccount, RefusedError
from impls import contract, registry
from tests.harness.worker.test_worker import CASE, ask, visit
from tests.support.benches import bench_on
from tests.support.runs import ok_case
from tests.support.simulated_cuda import Simulated


def test_a_case_is_described_predicted_prepared_visited_and_rechecked(worker, steps):
    described = ask(worker, messages.Describe())
    names = {entry.name: entry for entry in described.implementations if entry.problem == "attention"}
    assert names["einsum"].available
    assert "causal" in names["einsum"].supports
    (foreseen,) = ask(worker, messages.Predict(cases=[CASE])).predictions
    assert foreseen.skip is None
    assert foreseen.predicted.operations > 0
    prepared = ask(worker, messages.Prepare(case=CASE, seed=1, predicted_bytes=77))
    assert prepared.prepared.agreement.passed
    assert prepared.prepared.memory.predicted == 77
    assert prepared.prepared.counts.how == "counted"
    assert prepared.prepared.counts.counted >= prepared.prepared.counts.operations
    visited = ask(worker, visit(CASE))
    assert (visited.round.index, visited.round.process, len(visited.round.samples)) == (4, 1, 3)
    assert len(visited.round.canary) == 3
    rechecked = ask(worker, messages.Recheck(case=CASE, seed=9))
    assert rechecked.agreement.rechecked
    for answer in (prepared, visited, rechecked):
        assert answer.calls_seconds > 0.0
    assert steps[-7:] == [
        *("agreement", "profile", "warm-up", "counting", "inputs", "timing", "agreement after timing")
    ]


def test_the_record_says_which_context_was_entered(worker):
    pinned = ask(worker, messages.Prepare(case=ok_case("sdpa-math", n=16, d=8), seed=1)).prepared
    assert (pinned.ran.within, pinned.ran.backend) == ("sdpa_kernel(SDPBackend.MATH)", "math")
    assert ask(worker, messages.Prepare(case=CASE, seed=1)).prepared.ran.within is None


def test_every_other_visit_is_on_new_values_and_the_record_says_so(worker):
    rounds = [ask(worker, visit(CASE)).round for _ in range(3)]
    assert [one.new_values for one in rounds] == [True, False, True]
    assert [one.input_sets for one in rounds] == [4, 1, 4]
    assert all(len(one.first_seconds) == len(one.later_seconds) == 3 for one in rounds)


def test_seconds_inside_calls_are_those_of_one_request(worker, planted):
    case = planted(lambda q, k, v, **_: time.sleep(0.01) or torch.softmax(q @ k.mT / 8**0.5, -1) @ v)
    first, second = ask(worker, visit(case)), ask(worker, visit(case))
    # One call untimed, three blocks of two.
    assert 0.07 <= second.calls_seconds < 2 * first.calls_seconds


def test_a_wrong_answer_is_refused_with_the_check_that_failed(worker, planted):
    case = planted(lambda q, *_, **__: torch.zeros_like(q))
    refused = ask(worker, messages.Prepare(case=case, seed=1))
    assert isinstance(refused, messages.Refused)
    assert refused.status == "disagreed"
    assert "times its budget; out[" in refused.reason
    assert not refused.agreement.passed
    late = ask(worker, messages.Recheck(case=case, seed=1))
    assert late.reason.startswith("after timing, out ")


def test_another_kernel_than_asked_for_is_refused(worker, planted):
    case = planted(lambda q, k, v, **_: torch.softmax(q @ k.mT / 8**0.5, -1) @ v, expects=contract.Expected(("flash",)))
    refused = ask(worker, messages.Prepare(case=case, seed=1))
    assert (refused.status, refused.agreement) == ("fallback", None)
    assert refused.reason.startswith("asked for flash, ran aten::")


def test_backward_of_an_operator_made_of_others_is_known_by_its_forward(worker, planted):
    pinned = ok_case("sdpa-math", n=16, d=8).model_copy(update={"direction": "backward"})
    assert ask(worker, messages.Prepare(case=pinned, seed=1)).prepared.agreement.passed
    expects = contract.Expected(("attention_math",))
    other = planted(lambda q, k, v, **_: torch.softmax(q @ k.mT / 8**0.5, -1) @ v, expects=expects)
    refused = ask(worker, messages.Prepare(case=other.model_copy(update={"direction": "backward"}), seed=1))
    assert refused.status == "fallback"


SHORT = DEFAULT.model_copy(
    update={
        "telemetry": TelemetryPolicy(lead_in_cpu=0.01, window_cpu=0.1, sample_seconds_cpu=0.02),
        "timing": DEFAULT.timing.model_copy(update={"warm_up_seconds": 0.0, "warm_up_calls": 2}),
    }
)


def measured(answer, request, *, bench=None):
    return answer(bench or bench_on(policy=SHORT), request)


def test_operations_are_counted_along_every_axis():
    request = messages.Count(problem="attention", implementation="einsum", dtype="float32", direction="forward")
    found = measured(measuring.count, request).degrees
    assert (found.how, found.axes["n"].degree, found.axes["d"].degree) == ("counted", 2, 1)


def test_a_case_under_load_has_its_calls_and_their_share_of_the_burst():
    steps = []
    bench = bench_on(policy=SHORT, announce=steps.append)
    answer = measured(measuring.sustain, messages.Sustain(case=CASE, seed=1, call_seconds=1e-4), bench=bench)
    summary = answer.telemetry.summary
    assert summary["calls"] > 0
    assert summary["burst_calls_per_second"] == pytest.approx(1e4)
    assert 0.1 <= answer.calls_seconds < 5.0
    assert steps == ["sustained load"]


def test_a_call_too_long_to_be_counted_is_declared_by_the_problem(monkeypatch):
    monkeypatch.setattr(measuring, "COUNTED_SECONDS_AT_MOST", 0.0)
    counts = measured(measuring.prepare, messages.Prepare(case=CASE, seed=1)).prepared.counts
    assert (counts.how, counts.counted, counts.by_operator) == ("declared", None, {})
    assert counts.operations == 2 * 16 * 16 * (8 + 8)


def test_what_a_source_changed_on_import_is_a_note_of_its_cases_alone():
    bench = bench_on(policy=SHORT)
    source = bench.subject(CASE).implementation.source
    bench.process.changed_by[source] = ["changed threads from 1 to 3"]
    noted = measured(measuring.prepare, messages.Prepare(case=CASE, seed=1), bench=bench).prepared.notes
    assert noted == ["on import it changed threads from 1 to 3; put back"]
    other = ok_case("online", n=16, d=8)
    assert measured(measuring.prepare, messages.Prepare(case=other, seed=1), bench=bench).prepared.notes == []


def test_what_an_implementation_prepares_is_timed_apart(planted, monkeypatch):
    case = planted(lambda *_, **__: None)
    entry = registry.get("attention", "planted")

    def build(q, k, v, **_):
        return lambda: torch.softmax(q @ k.mT / 8**0.5, -1) @ v

    monkeypatch.setitem(registry.REGISTRY.entries, ("attention", "planted"), replace(entry, prepare=build))
    assert measured(measuring.prepare, messages.Prepare(case=case, seed=1)).prepared.prepare_seconds > 0.0
    assert measured(measuring.prepare, messages.Prepare(case=CASE, seed=1)).prepared.prepare_seconds is None


def test_a_visit_on_a_processor_has_no_figures_of_a_device_with_a_queue():
    round_ = measured(measuring.visit, visit(CASE)).round
    assert (round_.host_seconds, round_.queued, round_.call_seconds, round_.sm_clock_mhz) == ([], [], None, None)
    assert (round_.calls_per_sample, len(round_.samples), round_.canary) == (3, 3, [])
    assert round_.involuntary_switches >= 0
    assert all(seconds > 0.0 for seconds in round_.samples)


def test_each_case_takes_turns_between_new_values_and_the_same_again():
    bench = bench_on(policy=SHORT)
    other = ok_case("batched", n=16, d=8)
    turns = [measured(measuring.visit, visit(case), bench=bench).round.new_values for case in (CASE, other, CASE)]
    assert turns == [True, True, False]


def test_results_kept_by_address_are_refused_after_timing(planted):
    kept = {}

    def replays(q, k, v, **_):
        key = (q.data_ptr(), k.data_ptr(), v.data_ptr())
        if key not in kept:
            kept[key] = torch.softmax(q @ k.mT / 8**0.5, -1) @ v
        return kept[key].clone()

    with pytest.raises(RefusedError, match=r"^after timing, inputs changed in place, out"):
        measured(measuring.recheck, messages.Recheck(case=planted(replays), seed=1))


# --- what a caller waits, which a device's own time leaves out

US = 1_000


def account_on(device):
    return SimpleNamespace(device=torch.device(device), policy=DEFAULT, calls=CallsAccount())


@pytest.mark.parametrize(("cost", "waited"), [(12 * US, 12e-6), (1 * US, 5e-6)])
def test_a_single_block_has_what_a_caller_waits_beside_it(cost, waited):
    cuda = Simulated()
    clock = timing.EventClock(torch.device("cuda:0"), launches=1, driver=cuda)

    def call():
        cuda.launch(5 * US, cost=cost)

    blocks = [clock.block(call, 200)]
    assert measuring.waited_seconds(account_on("cuda:0"), clock, call, blocks) == pytest.approx(waited, rel=0.05)


def test_launches_of_slow_calls_and_calls_on_a_cpu_are_not_waited_for():
    slow = timing.Block(seconds=DEFAULT.timing.slow_call_seconds, host=1e-5, queued=True, calls=1)
    short = timing.Block(seconds=1e-5, host=1e-5, queued=False, calls=10)
    made = []
    clock = timing.HostClock()
    assert measuring.waited_seconds(account_on("cuda:0"), clock, lambda: made.append(1), [slow]) is None
    assert measuring.waited_seconds(account_on("cpu"), clock, lambda: made.append(1), [short]) is None
    assert made == []


@pytest.mark.parametrize("found", ["none kept", "kept"])
def test_a_second_look_tells_who_keeps_results_by_their_content(worker, planted, found):
    kept = {}

    def attend(q, k, v, **_):
        mark = (float(q[0, 0, 0, 0]), float(k[0, 0, 0, 0]))
        if found == "none kept" or mark not in kept:
            for _ in range(40):
                kept[mark] = torch.softmax(q @ k.mT / 8**0.5, -1) @ v
        return kept[mark].clone()

    case = planted(attend)
    answer = ask(worker, messages.Recheck(case=case, seed=5, look_again=6))
    assert answer.second_look.found == found
    assert ask(worker, messages.Recheck(case=case, seed=6)).second_look is None


def past_torch(taken):
    """Return attention that takes so many bytes past torch's allocator, and computes where no operator is seen."""

    def attend(q, k, v, **_):
        with mmap.mmap(-1, taken) as held:
            held.write(b"\1" * taken)
        scores = q.numpy() @ k.numpy().swapaxes(2, 3) / 8**0.5
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        return torch.from_numpy(weights / weights.sum(-1, keepdims=True) @ v.numpy())

    return attend


@pytest.mark.parametrize(
    ("declared", "taken", "reason"),
    [
        ({"outside_torch": True}, 8 * 2**20, "memory outside torch's allocator: what the process grew by"),
        ({}, DEFAULT.memory.rss_trusted_from + 2**23, "bytes, of which torch's allocator gave "),
    ],
)
def test_memory_that_torch_did_not_give_is_no_peak_of_zero(worker, planted, declared, taken, reason):
    used = ask(worker, messages.Prepare(case=planted(past_torch(taken), **declared), seed=1)).prepared.memory
    assert (used.peak, used.workspace, used.extra) == (None, None, None)
    assert reason in used.reasons["peak"]
    assert used.rss_peak >= taken


def test_what_a_library_keeps_of_its_first_call_is_part_of_its_memory(worker, planted):
    kept = []

    def attend(q, k, v, **_):
        if not kept:
            kept.append(bytearray(b"\1" * 2**24))
        return torch.softmax(q @ k.mT / 8**0.5, -1) @ v

    used = ask(worker, messages.Prepare(case=planted(attend, outside_torch=True), seed=1)).prepared.memory
    assert used.rss_peak >= 2**24


def test_threads_that_go_on_after_a_call_are_noted_and_those_of_torch_are_not(worker, planted):
    threads = []

    def burn():
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass

    def attend(q, k, v, **_):
        out = torch.softmax(q @ k.mT / 8**0.5, -1) @ v
        threads.append(threading.Thread(target=burn))
        threads[-1].start()
        return out

    prepared = ask(worker, messages.Prepare(case=planted(attend), seed=1)).prepared
    assert prepared.lingering_seconds > DEFAULT.timing.lingering_at_most
    assert "its threads go on: " in prepared.notes[0]
    for thread in threads:
        thread.join()
    assert ask(worker, messages.Prepare(case=CASE, seed=1)).prepared.lingering_seconds is None


def test_what_is_imported_late_is_put_back_and_named_and_blamed_on_nobody_else(worker, planted):
    loads = []

    def load():
        loads.append(1)
        os.environ["OMP_PLACES"] = "threads"

    case = planted(lambda q, k, v, **_: torch.softmax(q @ k.mT / 8**0.5, -1) @ v, load=load, source="library.py")
    prepared = ask(worker, messages.Prepare(case=case, seed=1)).prepared
    assert prepared.notes == ["on import it changed environment variables; put back"]
    assert "OMP_PLACES" not in os.environ
    assert isinstance(ask(worker, visit(case)), messages.Visited)
    assert ask(worker, messages.Prepare(case=CASE, seed=1)).prepared.notes == []
    assert len(loads) == 1


def test_a_package_that_does_not_load_makes_its_cases_unavailable(worker, planted):
    def load():
        raise ImportError("libcudart.so.12: cannot open shared object file")

    refused = ask(worker, messages.Prepare(case=planted(lambda *_, **__: None, load=load), seed=1))
    assert refused.status == "unavailable"
    assert refused.reason == "can't be imported: ImportError: libcudart.so.12: cannot open shared object file"


def test_beyond_its_share_of_the_time_a_case_is_timed_without_being_watched(worker, monkeypatch):
    case = ok_case("einsum", n=24, d=8)
    monkeypatch.setattr(watched.Watching, "is_due", lambda self, _share: self.watched < 1)
    first, second = (ask(worker, visit(case)).round for _ in range(2))
    assert (first.new_values, len(first.first_seconds)) == (True, 3)
    assert (second.new_values, second.first_seconds, second.input_sets) == (False, [], 1)
    assert len(second.samples) == len(first.samples)
