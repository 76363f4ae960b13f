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
RECORDING_SECONDS = 0.13
# What the host needs to launch a kernel through torch, in seconds; between 4 and 12 us on the machines of today.
LAUNCH_SECONDS = 6e-6
# A graph has at least so many calls on each set of inputs.
CALLS_PER_INPUT_AT_LEAST = 2


def may_be_short(case: Case) -> bool:
    """Say whether a case is one that graphs are for: a forward call on CUDA with hot caches."""
    return case.device.startswith("cuda") and case.direction == "forward" and case.cache == "hot"


def is_wanted(case: Case, rounds: Sequence[Round], *, policy: TimingPolicy) -> bool:
    """Say whether the last visit calls for a graph: a short call, or one that the host launches no faster than it runs.

    A reason found in an earlier round stands; it is not looked for again. A few rounds give the figure its interval.
    """
    if not may_be_short(case) or any(visit.graph_reason for visit in rounds):
        return False
    if sum(bool(visit.graph_samples) for visit in rounds) >= policy.graph_rounds:
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


def too_many_kernels(launches: int | None, *, policy: TimingPolicy) -> str:
    """Say that a graph of a call's kernels would be too large; empty if it would not, or nobody counted them."""
    least = CALLS_PER_INPUT_AT_LEAST * policy.graph_inputs
    if launches is None or launches * least <= policy.graph_nodes_at_most:
        return ""
    return f"{launches:,} kernels per call: launching them is what it costs"


def predicted_seconds(
    case: Case, call_seconds: float, *, launches: int | None = None, block: float, policy: TimingPolicy
) -> float:
    """Return what a round spends on a case's graph, as far as can be told before."""
    is_host_bound = (launches or 0) * LAUNCH_SECONDS >= call_seconds
    is_short = call_seconds < policy.graph_below_seconds or (is_host_bound and call_seconds < policy.slow_call_seconds)
    if not may_be_short(case) or not is_short or too_many_kernels(launches, policy=policy):
        return 0.0
    return RECORDING_SECONDS + policy.blocks_per_round * block
