"""Launch overhead: what the rounds of a case say that was timed inside a CUDA graph as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.records import Launch
from harness.stats.samples import summarise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.policy import TimingPolicy
    from harness.records import Round, Time


def launch_of(rounds: Sequence[Round], *, time: Time, policy: TimingPolicy) -> Launch | None:
    """Summarise a case's replays over its rounds beside what its calls take; None if no graph was tried."""
    tried = [visit for visit in rounds if visit.graph_samples or visit.graph_reason]
    if not tried:
        return None
    calls, inputs = tried[-1].graph_calls, tried[-1].graph_inputs
    reason = next((visit.graph_reason for visit in tried if visit.graph_reason), "")
    if reason:
        return Launch(calls=calls, inputs=inputs, reason=reason)
    summary = summarise([visit.graph_samples for visit in tried], policy=policy)
    return Launch(
        graph=summary.median,
        low=summary.low,
        high=summary.high,
        calls=calls,
        inputs=inputs,
        samples=[sample for visit in tried for sample in visit.graph_samples],
        overhead=None if time.call_seconds is None else time.call_seconds - summary.median,
    )
