"""Every message survives the pipe as it was, and what is none of ours is refused in a line."""

from __future__ import annotations

import json
import math
import typing

import pytest

from harness.policy import DEFAULT
from harness.protocol import messages
from harness.records import (
    Agreement,
    Ceiling,
    Check,
    Counts,
    Degrees,
    Environment,
    Memory,
    Prediction,
    Preparation,
    ProbeOutcome,
    Ran,
    Round,
    Telemetry,
)
from tests.support.profiles import case_profile
from tests.support.runs import ok_case

CASE = ok_case("einsum", n=16, d=8)
AGREEMENT = Agreement(passed=True, checks=[Check(name="out max", error=1e-7, budget=1e-6, ratio=0.1)], rows_checked=3)
CEILING = Ceiling(name="matmul float32", value=1e11 / 3, unit="FLOP/s", how="given", size=512)
OUTCOME = ProbeOutcome(
    implementation="einsum", probe="plain", dtype="float32", device="cpu", direction="forward", seed=1, status="ok"
)
PREPARATION = Preparation(
    agreement=AGREEMENT,
    counts=Counts(operations=10, attended=5, ideal_bytes=7, by_operator={"aten.mm": 10}),
    memory=Memory(inputs=1, outputs=2, peaks=[3, 3]),
    ran=Ran(operators={"aten::mm": 2}),
    call_seconds=1e-5 / 3,
    warm_up_calls=10,
)
ROUND = Round(index=2, started=1.7e9 + 1 / 3, calls_per_sample=7, samples=[0.1, 1 / 3, 5e-324, math.pi * 1e-7])
REQUESTS = [
    (
        messages.Start(device="cpu", policy=DEFAULT, threads=2, impl_files=["k.py"], skip={"bad": "SIGSEGV"}),
        messages.Started,
    ),
    (messages.Describe(), messages.Described),
    (messages.Predict(cases=[CASE, CASE]), messages.Predicted),
    (messages.MeasureEnvironment(dtypes=["float32"], seconds=0.3), messages.EnvironmentMeasured),
    (messages.MeasureCeilings(known=[CEILING], seconds=0.3), messages.CeilingsMeasured),
    (messages.ListProbes(problem="attention", only="plain"), messages.ProbesListed),
    (
        messages.RunProbe(problem="attention", index=3, implementation="einsum", dtype="float32", seed=1),
        messages.Probed,
    ),
    (messages.Prepare(case=CASE, seed=1, predicted_bytes=9), messages.Prepared),
    (
        messages.Count(problem="attention", implementation="einsum", dtype="float32", direction="backward"),
        messages.Counted,
    ),
    (messages.ReadCanary(), messages.CanaryRead),
    (messages.Visit(case=CASE, seed=1, calls=2, blocks=3, index=4, process=0), messages.Visited),
    (messages.Replay(case=CASE, seed=1, blocks=3, call_seconds=1 / 3), messages.Replayed),
    (messages.Recheck(case=CASE, seed=1), messages.Rechecked),
    (messages.Sustain(case=CASE, seed=1, call_seconds=1 / 3), messages.Sustained),
    (messages.ProfileCase(case=CASE, seed=1, seconds=2.0, trace="/tmp/t.json.gz", bare=True), messages.Profiled),
]
ANSWERS = [
    messages.Started(free=2**34),
    messages.Described(
        device_name="CPU",
        threads=2,
        implementations=[
            messages.DescribedImplementation(problem="attention", name="a", available=False, reason="no", source="a.py")
        ],
    ),
    messages.Predicted(
        predictions=[
            messages.CasePrediction(skip="unsupported", reason="lacks causal"),
            messages.CasePrediction(
                predicted=Prediction(operations=10, extra_bytes=1, resident_bytes=2, seconds=1 / 3, arithmetic="1 x 1")
            ),
        ]
    ),
    messages.EnvironmentMeasured(environment=Environment(id="abc", stable={"threads": 2}, ceilings=[CEILING])),
    messages.CeilingsMeasured(ceilings=[CEILING]),
    messages.CanaryRead(seconds=[1 / 3]),
    messages.ProbesListed(probes=[messages.ListedProbe(probe="plain", direction="backward")]),
    messages.Probed(outcome=OUTCOME),
    messages.Prepared(prepared=PREPARATION, calls_seconds=0.1),
    messages.Counted(degrees=Degrees(problem="attention", implementation="a", how="declared", reason="hidden")),
    messages.Visited(round=ROUND, calls_seconds=0.1),
    messages.Replayed(
        graph=messages.Replays(samples=[1 / 3], calls=8, inputs=4), capture_failed=False, calls_seconds=1
    ),
    messages.Rechecked(agreement=AGREEMENT, calls_seconds=0.1),
    messages.Sustained(
        telemetry=Telemetry(series={"power_w": [(0.1, 200.0)]}, throttle_spans=[(0.0, 1 / 3, "heat")]),
        calls_seconds=2.0,
    ),
    messages.Profiled(found=case_profile(), calls_seconds=0.1),
    messages.Refused(status="disagreed", reason="out max", agreement=AGREEMENT, calls_seconds=0.1),
    messages.Failed(status="crashed", reason="ValueError", worker_gone=True),
    messages.Step(step="warm-up"),
]


def through_the_pipe(message):
    return json.loads(json.dumps(messages.encode(message), separators=(",", ":")))


@pytest.mark.parametrize("request_", [request for request, _ in REQUESTS], ids=lambda message: message.do)
def test_a_request_arrives_as_it_was_sent(request_):
    assert messages.decode_request(through_the_pipe(request_)) == request_


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda message: message.kind)
def test_an_answer_arrives_as_it_was_sent(answer):
    asked = {answer_type: request for request, answer_type in REQUESTS}
    request = asked.get(type(answer), messages.Describe())
    assert messages.decode_answer(through_the_pipe(answer), request) == answer


def test_no_message_is_left_out_above():
    assert {type(request) for request, _ in REQUESTS} == set(typing.get_args(messages.Request))
    assert {type(answer) for answer in ANSWERS} == {*typing.get_args(messages.Answer), messages.Step}


def test_each_request_knows_its_answer():
    assert [(type(request), messages.answer_type(request)) for request, _ in REQUESTS] == [
        (type(request), answer_type) for request, answer_type in REQUESTS
    ]


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_a_number_that_json_does_not_know_arrives_too(value):
    sent = messages.Visited(round=ROUND.model_copy(update={"canary": [value]}), calls_seconds=0.1)
    visit = next(request for request, answer_type in REQUESTS if answer_type is messages.Visited)
    assert messages.decode_answer(through_the_pipe(sent), visit).round.canary == [value]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"do": "flsh"}, "no message 'flsh'; have: 'start', 'describe', "),
        ({}, "no message None; have: "),
        ({"do": "recheck", "seed": 1}, "message 'recheck': case: Field required"),
        ({"do": "recheck", "seed": 1, "case": CASE.model_dump() | {"direction": "up"}}, "case.direction: Input should"),
        ({"do": "describe", "quietly": True}, "message 'describe': quietly: Extra inputs are not permitted"),
    ],
)
def test_what_is_no_request_is_refused_in_a_line(data, line):
    with pytest.raises(messages.MessageError) as refused:
        messages.decode_request(data)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_answer_to_something_else_is_refused():
    answer = through_the_pipe(messages.CeilingsMeasured(ceilings=[]))
    with pytest.raises(messages.MessageError, match="CeilingsMeasured is no answer to Describe"):
        messages.decode_answer(answer, messages.Describe())
    with pytest.raises(messages.MessageError, match="no message 'flsh'; have: 'started'"):
        messages.decode_answer({"kind": "flsh"}, messages.Describe())


@pytest.mark.parametrize("version", [messages.VERSION + 1, None])
def test_parent_and_worker_of_different_versions_refuse_each_other(version):
    start = next(request for request, answer_type in REQUESTS if answer_type is messages.Started)
    newer = through_the_pipe(start) | {"protocol": version, "added": True}
    with pytest.raises(
        messages.MessageError, match=f"the parent speaks protocol {version}, this worker {messages.VERSION}"
    ):
        messages.decode_request(newer)
    newer = through_the_pipe(messages.Started(free=1)) | {"protocol": version, "added": True}
    with pytest.raises(messages.MessageError, match=f"the worker speaks protocol {version}"):
        messages.decode_answer(newer, start)


def test_messages_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        messages.Step(step="warm-up").step = "timing"
