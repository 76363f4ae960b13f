"""The record: what is known of one case, in a form that crosses files and processes."""

from __future__ import annotations

import itertools
from typing import Literal, NamedTuple, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

# What a record is about is imported from here as well.
from harness.cases import Case as Case  # noqa: PLC0414
from harness.cases import DataModel as DataModel  # noqa: PLC0414
from harness.cases import case_id as case_id  # noqa: PLC0414
from scenarios.scenario import Direction

# Semantic version of every file of a run directory; a reader refuses a newer major version.
SCHEMA = "1.5.0"

Status = Literal[
    "ok", "disagreed", "unsupported", "unavailable", "predicted_oom", "predicted_slow", "oom", "timeout", "crashed",
    "fallback", "invalid", "over_budget",
]  # fmt: skip
# Statuses of cases that were not meant to run here, or not in this time; they fail nothing.
SKIPPED: frozenset[Status] = frozenset({"unsupported", "unavailable", "predicted_oom", "predicted_slow", "over_budget"})
Flag = Literal["wide", "drift", "bimodal", "contaminated", "throttled", "lingering"]
StopReason = Literal["precision", "rounds", "time budget", "interrupted"]
# Of the dtypes that a case may have.
BYTES_PER_ELEMENT = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


class Check(DataModel):
    """One comparison of the gate: an error, the budget it had, and error / budget. Absent error means not finite."""

    name: str
    error: float | None
    budget: float | None
    ratio: float | None
    passed: bool = True
    detail: str = ""


class Approximation(DataModel):
    """How far an approximate kernel is from the oracle, in the worst tensor of a call; `largest` is absolute."""

    cosine: float
    relative_l1: float
    rmse: float
    largest: float


class Agreement(DataModel):
    """The gate's result; what is approximate has errors in place of checks of numbers.

    `worst` names the element with the largest ratio; `rechecked` tells of the check after.
    """

    passed: bool
    checks: list[Check]
    worst: str = ""
    rows_checked: int = 0
    rechecked: bool = False
    approximation: Approximation | None = None

    @property
    def ratio(self) -> float | None:
        """Return the largest error / budget of all checks."""
        ratios = [check.ratio for check in self.checks if check.ratio is not None]
        return max(ratios, default=None)


class ProbeOutcome(DataModel):
    """What one probe showed. `reason` tells of an exception, of what is unsupported, or of what disagreed."""

    implementation: str
    probe: str
    dtype: str
    device: str
    direction: Direction
    seed: int
    status: Status
    reason: str = ""
    agreement: Agreement | None = None

    @property
    def title(self) -> str:
        """Name the probe with its direction."""
        return f"{self.probe}, {self.direction}"


class Round(DataModel):
    """The samples of one visit to a case: seconds per call, and the canary's slow-down around each block."""

    index: int
    process: int = 0
    started: float
    calls_per_sample: int
    samples: list[float]
    canary: list[float] = Field(default_factory=list)
    faults_per_call: float | None = None
    involuntary_switches: int | None = None
    steal_share: float | None = None
    # Of each block, seconds of the first call after the inputs were written in place, and of a call after it; whether
    # that gave them values that no call had seen (else the same again); how many sets of values calls were made on.
    first_seconds: list[float] = Field(default_factory=list)
    later_seconds: list[float] = Field(default_factory=list)
    new_values: bool = False
    input_sets: int = 1
    # On a device with a queue: what the host needs to enqueue a call in each block, whether the block was queued ahead,
    # so that its sample holds no launch, and what a call takes one after the other, launches included.
    host_seconds: list[float] = Field(default_factory=list)
    queued: list[bool] = Field(default_factory=list)
    call_seconds: float | None = None
    sm_clock_mhz: float | None = None
    throttle: list[str] = Field(default_factory=list)
    # How many other processes of the host held a device when the round of this visit began.
    neighbours: int | None = None
    # Seconds per call inside a replayed CUDA graph of so many calls over so many inputs, or why there are none.
    graph_samples: list[float] = Field(default_factory=list)
    graph_calls: int = 0
    graph_inputs: int = 0
    graph_reason: str = ""


class TimedRound(NamedTuple):
    """The samples of one visit to a case in seconds per call, and the slow-down of the canary beside each, if read."""

    samples: list[float]
    canary: list[float]


class Time(DataModel):
    """All samples of a case in seconds per call, and what is concluded from them.

    `value` is the time that tables, figures and laws use: the `statistic` named, with `value_low` and `value_high`, its
    95 % interval, absent where too few rounds allow one. `canary_slope` tells how much of what the canary saw was taken
    out of it (before policy 5 also `neighbour_slope`); runs of older versions have no statistic. `median`, with its own
    interval `low` to `high`, is of the samples as they are, `best` the second smallest. `canary` has the slow-down of
    the reference kernel beside each sample. `samples` and `canary` are flat, in order of time; `rounds` tells how many
    visits, `round_lengths` how many samples each had.

    On a GPU samples are of device time, as calls wait in its queue: `queued_share` is the share of samples for which
    that held. `host_seconds` is what the host needs to enqueue a call, `call_seconds` what calls take one after the
    other, which is what a user waits for.
    """

    samples: list[float]
    canary: list[float] = Field(default_factory=list)
    rounds: int
    round_lengths: list[int] = Field(default_factory=list)
    processes: int = 1
    # How many sets of values the calls were made on, over all rounds.
    input_sets: int = 0
    calls_per_sample: int = 1
    median: float
    low: float | None = None
    high: float | None = None
    best: float
    statistic: str = ""
    value: float | None = None
    value_low: float | None = None
    value_high: float | None = None
    canary_slope: float | None = None
    neighbour_slope: float | None = None
    effective_samples: float | None = None
    stop_reason: StopReason = "rounds"
    flags: list[Flag] = Field(default_factory=list)
    warm_up_calls: int = 0
    faults_per_call: float | None = None
    involuntary_switches: int | None = None
    steal_share: float | None = None
    host_seconds: float | None = None
    call_seconds: float | None = None
    queued_share: float | None = None
    mode: Literal["calls", "events"] = "calls"

    @property
    def is_launch_bound(self) -> bool:
        """Tell whether the host needs longer to enqueue a call than the device to run it."""
        return self.host_seconds is not None and self.mode == "events" and self.host_seconds > self.median

    @property
    def seconds(self) -> float:
        """Return the time to show; the median in runs that have no statistic."""
        return self.median if self.value is None else self.value

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return the 95 % interval of `seconds`, None if too few samples allow one."""
        low, high = (self.low, self.high) if self.value is None else (self.value_low, self.value_high)
        return None if low is None or high is None else (low, high)

    @property
    def for_laws(self) -> float:
        """Return the time that laws and ceilings are held against; the second smallest sample without a statistic."""
        return self.best if self.value is None else self.value

    @property
    def by_round(self) -> list[TimedRound]:
        """Cut the samples and canaries into rounds, in order of time; empty if their lengths were not recorded."""
        stops = list(itertools.accumulate(self.round_lengths))
        spans = [slice(start, stop) for start, stop in itertools.pairwise([0, *stops])]
        return [TimedRound(self.samples[span], self.canary[span]) for span in spans]


class Launch(DataModel):
    """What launching costs: seconds per call inside a replayed CUDA graph, beside the calls that the host launches.

    `graph` is the median with its interval `low`, `high`; the graph has so many `calls`, over `inputs` in turn.
    `overhead` is `call_seconds` of the time less `graph`. Without a figure there is a `reason`.
    """

    graph: float | None = None
    low: float | None = None
    high: float | None = None
    calls: int = 0
    inputs: int = 0
    samples: list[float] = Field(default_factory=list)
    overhead: float | None = None
    reason: str = ""


class Counts(DataModel):
    """Operations of one call. `how` is counted where a dispatch mode saw them, declared where only a formula says so.

    `by_operator` splits counted operations by operator name. `required` is what no way of computing the call can do
    without, where that is less than `operations`.
    """

    operations: int
    required: int | None = None
    attended: int
    ideal_bytes: int
    how: Literal["counted", "declared"] = "declared"
    counted: int | None = None
    by_operator: dict[str, int] = Field(default_factory=dict)
    phases: dict[str, int] = Field(default_factory=dict)


class AxisCounts(DataModel):
    """Counted operations at equispaced sizes of one axis, and the exact degrees of their polynomials.

    `products` are operations with a formula, `calls` how many operators ran. A degree is absent where the counts are
    no polynomial of the sizes.
    """

    sizes: list[int]
    operations: list[int]
    products: list[int]
    calls: list[int]
    degree: int | None = None
    products_degree: int | None = None
    calls_degree: int | None = None


class Degrees(DataModel):
    """What counting says of an implementation's law, at small sizes: axis -> counts.

    `how` is declared where something hid from the counter, with the reason; there are no axes then. Products are
    compared with the problem's model at one point; `causal_share` is products under a causal mask over those without.
    """

    problem: str
    implementation: str
    direction: Direction = "forward"
    device: str = "cpu"
    how: Literal["counted", "declared"]
    reason: str = ""
    axes: dict[str, AxisCounts] = Field(default_factory=dict)
    counted_products: int | None = None
    modelled_products: int | None = None
    causal_share: float | None = None


class Memory(DataModel):
    """Bytes of one call. `peak` is the allocator's high-water mark over what was resident before, inputs excluded.

    Of what takes memory past torch's allocator `peak` is absent, and `rss_peak`, by which the process grew at most, is
    all there is: then from before the call was prepared, as libraries keep what a first call took.
    `workspace` = peak - outputs - saved; `saved` is what backward needs. `reserved` is the allocator's pool,
    `device_process` what the driver counts for the process after the call, its context included: three different
    quantities. Absent figures have a reason.
    """

    inputs: int
    outputs: int | None = None
    saved: int | None = None
    workspace: int | None = None
    peak: int | None = None
    predicted: int | None = None
    rss_peak: int | None = None
    reserved: int | None = None
    device_process: int | None = None
    # The peak of each call that it was taken of; they are equal, else a reason says so.
    peaks: list[int] = Field(default_factory=list)
    reasons: dict[str, str] = Field(default_factory=dict)

    @property
    def extra(self) -> int | None:
        """Return the peak beyond inputs and outputs."""
        return None if self.peak is None or self.outputs is None else max(0, self.peak - self.outputs)


class Allocation(DataModel):
    """What fresh memory costs a call on a CPU, seconds and page faults per call.

    `returned` is in a new process with the C library's own rules, which give large blocks back to the system after each
    call, `kept` in the run's own, which keeps them; `ratio` = returned / kept, from rounds in turn, with its 95 %
    interval.
    """

    returned: float
    kept: float
    ratio: float
    low: float | None = None
    high: float | None = None
    faults_returned: float
    faults_kept: float
    rounds: int


class Ran(DataModel):
    """What one profiled call ran: operators, and kernels on a GPU, with their counts, and the SDPA backend seen.

    `launches` is how many kernels the host launched; `copy_seconds` is the device's time in copies and fills, which no
    kernel's time contains. `within` is the context that the implementation's calls were made in, None if it declares
    none. Absent figures have a reason.
    """

    operators: dict[str, int]
    kernels: dict[str, int] = Field(default_factory=dict)
    backend: str | None = None
    within: str | None = None
    kernel_seconds: float | None = None
    copy_seconds: float | None = None
    launches: int | None = None
    reasons: dict[str, str] = Field(default_factory=dict)

    @property
    def shown(self) -> dict[str, int]:
        """Return what says most of a call: its kernels if any were seen, else its operators."""
        return self.kernels or self.operators


class Telemetry(DataModel):
    """The device during a sustained load: series by name, each a list of [seconds, value], and summary figures.

    Units are in the names: `gpu_utilization` and `memory_utilization` are shares in 0..1, `power_w`, `energy_j` a
    call, `clock_mhz`, `memory_clock_mhz`, `temperature_c`. `idle_power_w` was read before the load and is part of no
    other figure; `cool_down_s` is how long the load waited for the device. `reasons` says why a figure is absent.
    """

    series: dict[str, list[tuple[float, float]]] = Field(default_factory=dict)
    summary: dict[str, float] = Field(default_factory=dict)
    reasons: dict[str, str] = Field(default_factory=dict)
    throttle: list[str] = Field(default_factory=list)
    # From when to when each reason was seen, in the seconds of the series; those begin at `started`, in unix seconds.
    throttle_spans: list[tuple[float, float, str]] = Field(default_factory=list)
    started: float | None = None
    chosen: str = ""


class Preparation(DataModel):
    """What is learnt of a case before its rounds: it agreed, what it costs, what ran, how long a call takes.

    `lingering_seconds` is the processor time used in the 50 ms after a call, where more than calls leave by rights.
    """

    agreement: Agreement
    counts: Counts
    memory: Memory
    ran: Ran
    prepare_seconds: float | None = None
    call_seconds: float
    warm_up_calls: int
    lingering_seconds: float | None = None
    notes: list[str] = Field(default_factory=list)


class Record(DataModel):
    """One JSON line: a case with its status and whatever was learnt. A status other than ok carries no time."""

    schema_version: str = Field(default=SCHEMA, alias="schema")
    case: Case
    status: Status
    reason: str = ""
    agreement: Agreement | None = None
    time: Time | None = None
    counts: Counts | None = None
    memory: Memory | None = None
    allocation: Allocation | None = None
    ran: Ran | None = None
    telemetry: Telemetry | None = None
    launch: Launch | None = None
    prepare_seconds: float | None = None
    roofline_share: float | None = None
    environment_id: str = ""
    # Tells one version of the implementation's source from others.
    digest: str = ""
    # How many other processes of the host held a device while it was measured, the most of any round.
    neighbours: int | None = None
    # Of merged records, the part that closed this one.
    part: str = ""
    notes: list[str] = Field(default_factory=list)

    model_config = ConfigDict(
        extra="forbid", frozen=True, ser_json_inf_nan="null", validate_by_name=True, validate_by_alias=True
    )

    @model_validator(mode="after")
    def _no_number_for_a_failure(self) -> Self:
        if self.status != "ok" and self.time is not None:
            raise ValueError(f"a case with status {self.status} has no time")
        if self.status == "ok" and self.time is None:
            raise ValueError("a case with status ok has a time")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"status {self.status} needs a reason")
        return self


# The name of the ceiling that float32 products on tensor cores have.
TF32 = "matmul tf32"


class Ceiling(DataModel):
    """What the machine reaches: the best matrix-product rate of a dtype, or copy bandwidth, measured here.

    A bandwidth with `within_bytes` is a cache's: it holds for working sets up to that size. `size` is the rows of the
    matrices, or the bytes of a buffer, that it was measured with.
    """

    name: str
    value: float
    unit: Literal["FLOP/s", "B/s"]
    how: str
    datasheet: float | None = None
    within_bytes: int | None = None
    size: int | None = None


class Environment(DataModel):
    """Where a run happened. `stable` decides whether runs compare; `volatile` informs; `reasons` explain absences."""

    schema_version: str = Field(default=SCHEMA, alias="schema")
    id: str
    stable: dict[str, JsonValue]
    volatile: dict[str, JsonValue] = Field(default_factory=dict)
    ceilings: list[Ceiling] = Field(default_factory=list)
    reasons: dict[str, str] = Field(default_factory=dict)

    model_config = Record.model_config


class Prediction(DataModel):
    """What the planner expects of one call: operations, peak extra bytes, seconds; `arithmetic` says how.

    `limit_bytes` is what extra and resident bytes may be together, None in runs of older versions.
    """

    operations: int
    extra_bytes: int
    resident_bytes: int
    seconds: float
    limit_bytes: int | None = None
    arithmetic: str = ""


class PlannedCase(DataModel):
    """A case of the plan; `skip` and `reason` tell why it will not run."""

    case: Case
    predicted: Prediction | None = None
    skip: Status | None = None
    reason: str = ""
