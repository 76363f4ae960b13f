"""Which cases are timed inside a CUDA graph as well, what that costs, and how a round takes it in."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.policy import TimingPolicy
    from harness.protocol.messages import Replays
    from harness.records import Case, Round

# What recording and checking a graph takes beside its blocks, in seconds: inputs, warm-up, capture, two checks.
RECORDING_SECONDS = 0.05


def may_be_short(case: Case) -> bool:
    """Say whether a case is one that graphs are for: a forward call on CUDA with hot caches."""
    return case.device.startswith("cuda") and case.direction == "forward" and case.cache == "hot"


def is_wanted(case: Case, rounds: Sequence[Round], *, policy: TimingPolicy) -> bool:
    """Say whether the last visit calls for a graph: a short call, or one that the host launches no faster than it runs.

    A reason found in an earlier round stands; it is not looked for again.
    """
    if not may_be_short(case) or any(visit.graph_reason for visit in rounds):
        return False
    last = rounds[-1]
    call = statistics.median(last.samples)
    is_host_bound = bool(last.host_seconds) and statistics.median(last.host_seconds) >= call
    return call < policy.slow_call_seconds and (call < policy.graph_below_seconds or is_host_bound)


def with_replays(visit: Round, replays: Replays) -> Round:
    """Return a visit with what its graph gave."""
    return visit.model_copy(
        update={
            "graph_samples": replays.samples,
            "graph_calls": replays.calls,
            "graph_inputs": replays.inputs,
            "graph_reason": replays.reason,
        }
    )


def predicted_seconds(case: Case, call_seconds: float, *, block: float, policy: TimingPolicy) -> float:
    """Return what a round spends on a case's graph, as far as can be told before."""
    if not may_be_short(case) or call_seconds >= policy.graph_below_seconds:
        return 0.0
    return RECORDING_SECONDS + policy.blocks_per_round * block
