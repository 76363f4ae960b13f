"""Closing: preparation, rounds and re-check of a case become its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.machine.roofline import WIDENED, matmul_rate, roofline_seconds
from harness.records import (
    TF32,
    Agreement,
    Allocation,
    Case,
    Ceiling,
    Environment,
    Launch,
    Preparation,
    Record,
    Round,
    StopReason,
    Telemetry,
    Time,
)
from harness.results.remembered import remembered, words
from harness.stats import control, launches
from harness.stats.samples import summarise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.policy import Policy
    from harness.protocol.messages import SecondLook
    from harness.records import Flag
    from harness.results.plan_file import Plan

# The canary's undisturbed time is the 5th percentile of all its samples in a run.
CANARY_PERCENTILE = 5


def canary_floor(rounds: Sequence[Round]) -> float | None:
    """Return the undisturbed seconds of the canary over many rounds, None if none was timed."""
    return floor_of([value for visit in rounds for value in visit.canary])


def floor_of(seconds: Sequence[float]) -> float | None:
    """Return the undisturbed one of the canary's times, None if there is none."""
    return float(np.percentile(seconds, CANARY_PERCENTILE)) if seconds else None


def controlled(rounds: Mapping[str, Sequence[Round]], *, floor: float | None) -> control.Controlled:
    """Take the canary out of the rounds of a run's cases, by case id."""
    return control.control(
        {name: [one for visit in visits if (one := _visited(visit, floor))] for name, visits in rounds.items()}
    )


def _visited(visit: Round, floor: float | None) -> control.Visited | None:
    """Return the mean log seconds of a visit's blocks, and of its canaries; None if a clock stood still."""
    if not visit.samples or min(visit.samples) <= 0.0:
        return None
    slow_down = None
    if floor and visit.canary and min(visit.canary) > 0.0:
        slow_down = float(np.log(visit.canary).mean() - np.log(floor))
    return control.Visited((visit.process, visit.index), float(np.log(visit.samples).mean()), slow_down)


def time_of(
    rounds: Sequence[Round],
    *,
    floor: float | None,
    policy: Policy,
    stop_reason: StopReason,
    prepared: Preparation | None = None,
    series: control.Series | None = None,
    slope: float = 0.0,
) -> Time:
    """Summarise a case's rounds; `floor` is the canary's undisturbed seconds.

    `series` has the rounds with the canary taken out, by its `slope`.
    """
    canary = [[value / floor for value in visit.canary] for visit in rounds] if floor else None
    if canary is not None and any(len(c) != len(v.samples) for c, v in zip(canary, rounds, strict=True)):
        canary = None
    summary = summarise([visit.samples for visit in rounds], canary, policy=policy.timing)
    lingers: list[Flag] = ["lingering"] if prepared and prepared.lingering_seconds is not None else []
    host = [value for visit in rounds for value in visit.host_seconds]
    waited = [visit.call_seconds for visit in rounds if visit.call_seconds is not None]
    queued = [value for visit in rounds for value in visit.queued]
    return Time(
        samples=[sample for visit in rounds for sample in visit.samples],
        canary=[value for visit in canary or [] for value in visit],
        rounds=len(rounds),
        round_lengths=[len(visit.samples) for visit in rounds],
        processes=len({visit.process for visit in rounds}),
        input_sets=sum(visit.input_sets for visit in rounds),
        calls_per_sample=rounds[-1].calls_per_sample,
        median=summary.median,
        low=summary.low,
        high=summary.high,
        best=summary.best,
        **_statistic(series, slope=slope, processes=len({visit.process for visit in rounds}), policy=policy),
        effective_samples=summary.effective_samples,
        stop_reason=stop_reason,
        flags=[*summary.flags, *lingers],
        warm_up_calls=prepared.warm_up_calls if prepared else 0,
        faults_per_call=_mean([visit.faults_per_call for visit in rounds]),
        involuntary_switches=sum(visit.involuntary_switches or 0 for visit in rounds),
        steal_share=_mean([visit.steal_share for visit in rounds]),
        host_seconds=float(np.median(host)) if host else None,
        call_seconds=float(np.median(waited)) if waited else None,
        queued_share=sum(queued) / len(queued) if queued else None,
        mode="events" if host else "calls",
    )


def _statistic(
    series: control.Series | None, *, slope: float, processes: int, policy: Policy
) -> dict[str, str | float | None]:
    """Return the fields of a time that hold its statistic; none where no visit has a time."""
    if series is None or not len(series.logs):
        return {}
    found = control.locate(
        series.logs,
        confidence=policy.timing.confidence,
        between=policy.comparison.process_deviation / processes**0.5,
    )
    return {
        "statistic": control.LOCATION,
        "value": found.value,
        "value_low": found.low,
        "value_high": found.high,
        "canary_slope": slope,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def roofline_share(case: Case, prepared: Preparation, time: Time, *, ceilings: Sequence[Ceiling]) -> float | None:
    """Return the least time that the measured ceilings allow over the measured time, None without ceilings."""
    least = roofline_seconds(
        prepared.counts.operations, prepared.counts.ideal_bytes, ceilings, case.dtype, cache=case.cache
    )
    return None if least is None else least / time.for_laws


def undisturbed(ceilings: Sequence[Ceiling], floor: float | None, policy: Policy) -> list[Ceiling]:
    """Raise the matrix-product ceilings of a machine that was busy while they were measured.

    The canary is such a product too, timed through the whole run: where its undisturbed rate is above the float32
    ceiling, other work had lowered the ceilings, all by about that factor. `floor` is its seconds, None on a device.
    """
    single = matmul_rate(ceilings, "float32")
    if floor is None or single is None:
        return list(ceilings)
    factor = max(1.0, 2 * policy.timing.canary_size**3 / floor / single)
    return [
        ceiling.model_copy(update={"value": ceiling.value * factor}) if ceiling.unit == "FLOP/s" else ceiling
        for ceiling in ceilings
    ]


def close(
    case: Case,
    prepared: Preparation,
    rounds: Sequence[Round],
    *,
    floor: float | None,
    policy: Policy,
    environment: Environment | None,
    stop_reason: StopReason,
    recheck: Agreement | None = None,
    second_look: SecondLook | None = None,
    telemetry: Telemetry | None = None,
    allocation: Allocation | None = None,
    among: control.Controlled | None = None,
) -> Record:
    """Return the closing record of a case that ran; implausible speed makes it `invalid`.

    `among` has the case's rounds among those of the run; without it nothing tells what moved them all alike.
    `second_look` is what was found where its rounds looked like those of kept results.
    """
    among = among or controlled({case.id: rounds}, floor=floor)
    time = time_of(
        rounds,
        floor=floor,
        policy=policy,
        stop_reason=stop_reason,
        prepared=prepared,
        series=among.cases.get(case.id),
        slope=among.beta,
    )
    ceilings = undisturbed(environment.ceilings if environment else [], floor, policy)
    implausible = _implausible(case, prepared, time.for_laws, ceilings, policy)
    # What was looked at again need not be told by two first calls.
    suspicion = remembered(rounds, floor=floor, policy=policy.timing, **({"at_least": 1} if second_look else {}))
    looked = words(second_look) if second_look else ""
    is_cleared = second_look is not None and second_look.found == "none kept"
    if suspicion and not is_cleared:
        implausible = implausible or f"{suspicion}{looked and f' {looked}'}"
    launched = launches.launch_of(rounds, time=time, policy=policy.timing)
    if launched and launched.graph:
        skipped = _implausible(case, prepared, launched.graph, ceilings, policy)
        launched = Launch(calls=launched.calls, inputs=launched.inputs, reason=skipped) if skipped else launched
    throttled = any(visit.throttle for visit in rounds)
    if throttled:
        time = time.model_copy(update={"flags": [*time.flags, "throttled"]})
    return Record(
        case=case,
        status="invalid" if implausible else "ok",
        reason=implausible,
        agreement=recheck or prepared.agreement,
        time=None if implausible else time,
        counts=prepared.counts,
        memory=prepared.memory,
        ran=prepared.ran,
        telemetry=telemetry,
        allocation=allocation,
        launch=None if implausible else launched,
        prepare_seconds=prepared.prepare_seconds,
        roofline_share=None if implausible else roofline_share(case, prepared, time, ceilings=ceilings),
        environment_id=environment.id if environment else "",
        neighbours=max((visit.neighbours for visit in rounds if visit.neighbours is not None), default=None),
        notes=[*prepared.notes, *([looked] if is_cleared else [])],
    )


def _implausible(case: Case, prepared: Preparation, seconds: float, ceilings: Sequence[Ceiling], policy: Policy) -> str:
    rate = matmul_rate(ceilings, case.dtype)
    # What the attended pairs require, whatever the implementation let itself be seen doing: one that answers later
    # shows its placeholder alone.
    counts = prepared.counts
    operations = counts.operations if counts.required is None else counts.required
    if rate is None or not operations:
        return ""
    achieved = operations / seconds
    if case.dtype == "float32" and (tf32 := next((one.value for one in ceilings if one.name == TF32), None)):
        # Three products on tensor cores make one of float32's precision (CUTLASS, OpMultiplyAddFastF32).
        rate = max(rate, tf32 / 3)
    if case.dtype in WIDENED:
        rate = max(rate, matmul_rate(ceilings, "float32") or 0.0)
    limit = policy.timing.implausible * rate
    if achieved <= limit:
        return ""
    return f"{achieved:.3g} FLOP/s is over {policy.timing.implausible:g} times the measured {rate:.3g}: skipped work?"


def provisional(
    plan: Plan,
    *,
    closed: Mapping[str, Record],
    prepared: Mapping[str, Preparation],
    rounds: Mapping[str, Sequence[Round]],
    environment: Environment | None,
) -> list[Record]:
    """Return records of the plan's cases that have rounds but never closed, as those of an interrupted run.

    The dictionaries are keyed by case id.
    """
    left = [
        planned.case
        for planned in plan.cases
        if planned.case.id not in closed and planned.case.id in rounds and planned.case.id in prepared
    ]
    if not left:
        return []
    floor = canary_floor([visit for visits in rounds.values() for visit in visits])
    planned = [one.case.id for one in plan.cases]
    among = controlled({name: rounds[name] for name in planned if name in rounds}, floor=floor)
    return [
        close(
            case,
            prepared[case.id],
            rounds[case.id],
            floor=floor,
            policy=plan.policy,
            environment=environment,
            stop_reason="interrupted",
            among=among,
        )
        for case in left
    ]
