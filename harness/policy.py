"""Every constant of measuring and judging in one frozen, versioned object, stored in each run."""

from __future__ import annotations

from pydantic import Field

from harness.records import DataModel

# Raised whenever a constant changes its meaning or value; runs of different policies differ by it.
VERSION = "5"


class TimingPolicy(DataModel):
    """When a block is long enough, when warm-up ends, when sampling stops. Times are seconds."""

    # A block of 5 ms keeps the timer at 2e-5 of it and stays below a scheduler slice.
    block_seconds_cpu: float = 5e-3
    # 1 ms is 2000 times the resolution of a CUDA event.
    block_seconds_cuda: float = 1e-3
    calls_per_block_at_most: int = 2**16
    # Every case gets so many visits where the budget allows: fewer than six samples have no rank interval.
    rounds_at_least: int = 6
    # Without time for those, no case is begun that can't have so many.
    rounds_needed: int = 5
    rounds_at_most: int = 40
    # Blocks are made longer where this many rounds fit the time budget. Visits seconds apart are independent, blocks of
    # a visit are not: at equal wall time two runs differ by 3 % with 20 rounds of one block, by 9 % with 5 of three.
    rounds_aimed: int = 20
    # Looking only at these counts of rounds keeps optional stopping from narrowing the interval.
    looks: tuple[int, ...] = (10, 20, 30, 40)
    blocks_per_round: int = 1
    # They grow no further once these rounds give a case this many seconds: a small run is a quick run.
    case_seconds: float = 0.7
    # A case's own scatter counts as so many further rounds with the scatter of all cases (degrees of freedom).
    scatter_prior: int = 6
    # Worker processes that the rounds are spread over, for the variance between processes.
    processes: int = 1
    # A call longer than this is sampled once a round; its rounds still give an interval.
    slow_call_seconds: float = 0.25
    # Half the width of the interval within a process; what processes differ by comes on top (`process_deviation`).
    precision: float = 0.04
    # The first ten calls carry up to 9 % of start-up cost, the first three most of it; a slow call shows it in two.
    # Ten of a long one take seconds better spent on rounds: four do, those of agreement and profile included.
    warm_up_calls: int = 10
    warm_up_calls_slow: int = 2
    warm_up_calls_long: int = 4
    long_call_seconds: float = 0.003
    warm_up_seconds: float = 0.02
    warm_up_seconds_at_most: float = 2.0
    confidence: float = 0.95
    # A canary this many times its own 5th percentile marks a block that shared the machine: in an undisturbed run on a
    # virtual machine nine of ten are within it, since what ran before leaves the caches to each canary differently.
    canary_tolerance: float = 1.25
    # Matrices of this size stay in the caches, and their product is short beside a block.
    canary_size: int = 256
    contaminated_share: float = 0.25
    # Processor time in the 50 ms after a call. Torch's own threads use up to 9 ms before they sleep, a pool that spins
    # 34 ms and more: what is timed next then takes 2 to 15 times as long.
    lingering_at_most: float = 0.015
    drift_at_least: float = 0.02
    # The host launches a kernel in 2 to 10 us: a call below this is timed inside a CUDA graph as well.
    graph_below_seconds: float = 20e-6
    # Input sets that a graph's calls take in turn; a stale output then shows.
    graph_inputs: int = 4
    # Capturing more calls takes longer than it tells. Of graphs of more kernels 3 of 5 ended in a launch failure on an
    # H200 (torch 2.11, driver 580), of the others none of 294.
    graph_calls_at_most: int = 256
    graph_nodes_at_most: int = 5_000
    # Rounds in which a case is timed inside a graph as well: three give an interval.
    graph_rounds: int = 3
    # Faster than the measured ceiling by this factor means that work was skipped or not waited for.
    implausible: float = 1.5
    # A first call on new values takes as long as one on the same values written again, but for noise; an implementation
    # that keeps results takes many times that.
    remembered: float = 1.5
    # ... and no more than this many times what the calls after it take, and the time to wake threads and fill caches.
    first_call: float = 3.0
    first_call_seconds: float = 5e-5
    # Rewriting inputs and comparing results take at most this share of a case's visits once two on new values and two
    # on values written again were watched; a case of many calls per block has every visit watched.
    watched_share: float = 0.02
    # Beyond either, calls are made in turn until they tell whether results are kept: 5 pairs clear, 15 accuse.
    second_look_pairs: int = 60
    second_look_seconds: float = 20.0


class GatePolicy(DataModel):
    """Budgets of numerical agreement; see impls/*/problem.py for the elementwise bound."""

    rows: int = 128
    # The re-check asks whether calls still give what they gave: a quarter of the rows does, edges first.
    rows_rechecked: int = 32
    # Errors relative to what a plain implementation of the same dtype commits on the same inputs.
    factor: float = 2.0
    gradient_factor: float = 3.0
    # The ratio of two root mean squares, each over m independent errors, has a logarithm of standard deviation
    # 1 / sqrt(m); four of them keep chance out where few rows carry the reference's error.
    deviations: float = 4.0
    # Representability: rounding the exact answer costs up to one unit (max) and about half of one (root mean square).
    units_max: float = 2.0
    units_rms: float = 0.5


class ScalingPolicy(DataModel):
    """Fitting and judging laws; docs/verdict.md explains the method and docs/calibration.md how often it is right."""

    # Half a power apart is the least that laws of interest differ by; half of that on either side of the claim.
    band: float = 0.25
    confidence: float = 0.95
    exponent_low: float = 0.5
    exponent_high: float = 3.5
    exponent_step: float = 0.05
    # How much a unit of work may grow dearer once data leave a cache. Up to 3: to 4 or below 1 let n^1.5 pass for n^2.
    transitions: tuple[float, ...] = (1.5, 2.0, 2.5, 3.0)
    transition_places: int = 9
    # The transition takes about half an octave of size.
    transition_octaves: float = 0.5
    # Best-of samples repeat no better than this on a shared machine; a luckier fit claims no more.
    noise_at_least: float = 0.02
    noise_at_most: float = 0.20
    # With fewer sizes or a shorter range, under half of true laws can be told from half a power more or less.
    sizes_at_least: int = 7
    range_at_least: float = 16.0
    # The law is only visible where the fixed cost is no more than a quarter, on four sizes over a range of eight.
    floor_share_at_most: float = 0.25
    regime_sizes: int = 4
    regime_range: float = 8.0
    # Layers have a term one power lower; a coarser grid keeps three terms and a transition affordable.
    layer_exponent_step: float = 0.1
    layer_transitions: tuple[float, ...] = (1.5, 2.0, 3.0)
    layer_transition_places: int = 7
    dominant_share: float = 0.5
    # Advice for an inconclusive sweep: what decides at least 90 % of true laws in docs/calibration.md.
    sizes_advised: int = 11
    range_advised: float = 64.0
    # A cost is flat where at most this share depends on size: of n^0.25 over a range of 16 it is half. Five sizes do.
    flat_share_at_most: float = 0.20
    flat_sizes_at_least: int = 5
    # Costs without a trend repeat no better than this.
    flat_noise_at_least: float = 0.005
    # Extra memory at the largest size over the line through the sizes an eighth to a quarter of it.
    linear_memory_at_most: float = 1.3
    # n^2 coefficients from different sizes agree this well where the law is n^2.
    quadratic_memory_spread: float = 0.1
    # A ratio claim holds within this of its value, and fails beyond twice that.
    ratio_band: float = 0.15


class MemoryPolicy(DataModel):
    """Memory of the machine and of a case, in bytes unless named otherwise."""

    # A case may take this share of what is free; the rest keeps the machine usable.
    share: float = 0.6
    # Resident-set growth below this is noise of the allocator's own bookkeeping.
    rss_trusted_from: int = 64 * 2**20
    # The driver's count moves in steps of 2 MiB and with what libraries load; beyond this a call allocates past torch.
    outside_from: int = 64 * 2**20


class AllocationPolicy(DataModel):
    """The comparison of a call on fresh memory with one on memory kept, on a CPU. Times are seconds."""

    rounds: int = 5
    # Each of a few chosen cases is called some forty times; longer calls would take the run's time.
    call_seconds_at_most: float = 0.1
    # glibc keeps blocks up to this size once it has seen them freed (M_MMAP_THRESHOLD's upper limit), in bytes.
    peak_bytes_over: int = 2**25


class TelemetryPolicy(DataModel):
    """The sustained pass: how long, how often read, on which cases. Times are seconds."""

    # NVML's power is a mean of the last second on most GPUs, its utilisation of 1/6 to 1 s (NVML API reference).
    lead_in_cuda: float = 1.5
    # The energy counter moves every 100 ms: over 5 s its edges leave an error of about 1 % (simulated).
    window_cuda: float = 5.0
    sample_seconds_cuda: float = 0.05
    # The power sensor's second is over before idle power is read; then the device cools to where it began.
    idle_seconds_cuda: float = 1.0
    cool_within_c: float = 5.0
    # A passively cooled GPU may take minutes; so long a wait per pass is reserved, and a warmer start is said.
    cool_down_at_most: float = 10.0
    # On a CPU RAPL moves every millisecond and nothing is averaged; tick counters resolve 10 ms.
    lead_in_cpu: float = 0.5
    window_cpu: float = 2.0
    sample_seconds_cpu: float = 0.2
    energy_seconds: float = 0.005
    # A synchronisation idles the device for some 10 us: after 20 ms of work that is nothing.
    batch_seconds: float = 0.02
    batch_jitter: float = 0.2
    # Energy by the counter and by mean power differ by more than this only where one of them is wrong.
    energy_tolerance: float = 0.05
    # The pass wants many calls in its window; longer ones are left to timing.
    call_seconds_at_most: float = 0.1
    points_cpu: int = 1
    points_cuda: int = 1


class ComparisonPolicy(DataModel):
    """When two calls that were timed in turn count as different, or as the same."""

    confidence: float = 0.95
    # The share of differences called that may be false, over all cases (Benjamini and Hochberg 1995).
    false_discoveries: float = 0.05
    # Copies of one function in one process differ by 1 to 2 %: less than this is placement, not speed.
    effect_at_least: float = 0.03
    same_within: float = 0.05
    # Between runs processes differ as well: within 5 % nothing could ever be said to be.
    same_within_runs: float = 0.10
    # Standard deviation of a call's time between processes, for runs that have a single one (measured: 0 to 2.3 %).
    process_deviation: float = 0.015
    # ... and of one of two that take turns on two cores: pairs of copies differ by 4 %, all cases of a pair alike. So
    # where one case is called different by chance many are, and fewer such chances are taken.
    process_deviation_in_turn: float = 0.028
    false_discoveries_in_turn: float = 0.02
    # Fewer cases say nothing of how variances are spread.
    moderate_from: int = 10


class RunPolicy(DataModel):
    """Timeouts and budgets of a run, in seconds."""

    timeout_at_least: float = 60.0
    # Predictions are rough: a case is given this many times its predicted cost before it is called hung.
    timeout_factor: float = 20.0
    # From the start of the command until the report is written.
    time_budget_cpu: float = 300.0
    time_budget_cuda: float = 780.0
    # Ceilings are measured at the start for about this long, and those that were best again at the end.
    ceiling_seconds: float = 3.0
    ceiling_again_seconds: float = 1.0
    # Ceilings that moved by more between start and end are no longer one machine's.
    ceiling_drift: float = 0.05
    # Sustained load and fresh memory take at most this share of the time spent so far, unless they are asked for. On a
    # GPU power, energy and utilisation come from sustained load alone.
    extras_share: float = 0.05
    extras_share_cuda: float = 0.25
    # With its cores taken by others a machine gives times that are a hundred times too long: where the canary has been
    # over so many times its best for some seconds, the run waits for at most this long in all.
    busy_canary: float = 3.0
    busy_seconds: float = 3.0
    busy_wait_at_most: float = 60.0
    busy_wait_share: float = 0.2
    # On a GPU, rows of an implementation that launches kernels row by row: so many take a third of a second per call,
    # and a case makes some nineteen calls at least.
    launched_rows_at_most: int = 8192
    stderr_lines: int = 20


class Policy(DataModel):
    """All of it."""

    version: str = VERSION
    timing: TimingPolicy = Field(default_factory=TimingPolicy)
    gate: GatePolicy = Field(default_factory=GatePolicy)
    scaling: ScalingPolicy = Field(default_factory=ScalingPolicy)
    memory: MemoryPolicy = Field(default_factory=MemoryPolicy)
    allocation: AllocationPolicy = Field(default_factory=AllocationPolicy)
    telemetry: TelemetryPolicy = Field(default_factory=TelemetryPolicy)
    comparison: ComparisonPolicy = Field(default_factory=ComparisonPolicy)
    run: RunPolicy = Field(default_factory=RunPolicy)


FAST = Policy(
    timing=TimingPolicy(
        rounds_at_least=5,
        rounds_at_most=10,
        rounds_aimed=8,
        looks=(6, 10),
        precision=0.05,
        case_seconds=0.12,
        graph_rounds=1,
    ),
    run=RunPolicy(time_budget_cpu=70.0, time_budget_cuda=300.0, ceiling_seconds=1.0, ceiling_again_seconds=0.3),
    allocation=AllocationPolicy(rounds=0),
    telemetry=TelemetryPolicy(
        lead_in_cpu=0.2, window_cpu=0.8, lead_in_cuda=1.5, window_cuda=2.0, cool_down_at_most=2.0
    ),
)
DEFAULT = Policy()
RIGOROUS = Policy(
    timing=TimingPolicy(
        rounds_at_least=30, rounds_at_most=60, rounds_aimed=60, looks=(30, 45, 60), precision=0.01, processes=3
    ),
    run=RunPolicy(time_budget_cpu=1800.0, time_budget_cuda=3600.0),
)
# A lesson takes a minute: few rounds, no sustained load.
LESSON = Policy(
    timing=TimingPolicy(rounds_at_least=6, rounds_at_most=14, rounds_aimed=12, looks=(6, 10, 14), precision=0.05),
    run=RunPolicy(time_budget_cpu=55.0, time_budget_cuda=120.0, ceiling_again_seconds=0.3),
    allocation=AllocationPolicy(rounds=0),
    telemetry=TelemetryPolicy(points_cpu=0, points_cuda=0),
)
