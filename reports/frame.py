"""A run becomes a tidy table with one row per case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.collector import uncollected
from harness.results.pairs.pair_file import is_pair, read_sides
from harness.results.pairs.regret import regrets
from harness.results.pairs.tuned import tuned
from harness.results.run import read_runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from harness.records import Agreement, Case, Record
    from harness.results.run import Run
    from harness.results.verdicts_file import Verdict

    Named = TypeVar("Named", Case, Verdict)

# Sizes a point may have; each is a column, empty if a point lacks it.
AXES = (
    *("n", "n_q", "n_k", "d", "d_v", "heads", "kv_heads", "batch", "width"),
    *("causal", "valid_lens", "scale", "dropout", "window", "softcap", "bias", "layout", "values", "lengths"),
)
# What stands behind the name of an approximate implementation.
APPROXIMATE = " (approximate)"
# The columns of `load`, in order, with what they hold. Times are seconds, sizes bytes.
COLUMNS: dict[str, str] = {
    "id": "hash of problem, point, dtype, device, direction, cache and implementation",
    "scenario": "the sweep that asked for the case",
    "problem": "what is computed: attention, multihead, pooling, varlen",
    "implementation": "what computed it",
    "default": "its name without the options that are chosen, as online of online:block=64",
    **dict.fromkeys(AXES, "a size or option of the point; empty if the point has none"),
    "dtype": "element type of the inputs",
    "device": "device, as asked for",
    "direction": "forward, backward or forward+backward",
    "cache": "hot or cold",
    "status": "ok, or why there is no time; `not run` for a planned case without a record",
    "reason": "the cause of a status other than ok",
    "time_s": "seconds per call: the statistic named beside it; the median in runs that name none",
    "low_s": "lower end of the 95 % interval of time_s",
    "high_s": "upper end of it",
    "statistic": "what time_s is: a location of the samples, less what the canary explains",
    "median_s": "median of the samples as they are",
    "best_s": "second smallest sample",
    "law_s": "what laws and the roofline are held against: time_s, or best_s in runs that name no statistic",
    "graph_s": "median seconds per call inside a replayed CUDA graph, where calls are short",
    "call_s": "median seconds per call of calls one after the other on a GPU, launches included",
    "host_s": "median seconds that the host needs to enqueue a call",
    "queued_share": "share of samples that hold no launch, 0..1",
    "launch_bound": "whether the host needs longer to enqueue a call than the GPU to run it",
    "launch_overhead_s": "call_s less graph_s: what launching from the host adds",
    "kernel_s": "seconds that the kernels of one profiled call ran",
    "samples": "number of samples",
    "rounds": "visits to the case, spread over the run",
    "stop_reason": "why sampling ended",
    "flags": "doubts about an ok case, separated by blanks",
    "operations": "floating-point operations of a call",
    "regret": "of sdpa-auto: how many times as fast the best pinned backend is at its point; above 1 the choice lost",
    "option_gain": "of a default: how many times as fast the best of its options that were tried is at the point",
    "tflops": "operations / time_s / 10^12",
    "roofline_share": "share of the roofline's bound that was reached, 0..1",
    "ideal_bytes": "bytes of a call that reads and writes each tensor once",
    "peak_bytes": "allocator's high-water mark over what was resident before",
    "extra_bytes": "peak beyond the outputs",
    "predicted_extra_bytes": "what the planner expected of that",
    "agreement_ratio": "largest error / budget of all checks; at most 1 passes",
    "approximate": "1 if the implementation is declared approximate: no budget holds for it, and its errors follow",
    "cosine": "cosine similarity of an approximate result with the oracle's, of the worst tensor",
    "relative_l1": "sum of its absolute errors over the sum of the oracle's absolute values",
    "rmse": "root mean square of its errors",
    "largest_error": "largest of its absolute errors",
    "energy_j": "joules per call, under sustained load",
    "gpu_utilization": "share of time the GPU was busy, 0..1",
    "power_w": "mean watts under sustained load",
    "clock_mhz": "mean clock under sustained load",
    "neighbours": "how many other runs held a device of the host meanwhile, at most",
    "part": "of merged runs, the part that closed the case",
}


def load(run: str | Path) -> pd.DataFrame:
    """Read a run directory into a table, one row per planned case; `COLUMNS` says what the columns hold.

    A merged directory of several machines, or the two sides that `attnbench ab` measured, have a first column `run`
    that tells them apart. Raises JournalError where the directory holds no run, SchemaMismatchError for a newer schema.
    """
    place = Path(run)
    with uncollected():
        found = read_sides(place) if is_pair(place) else read_runs([place])
        return frame(found[0]) if len(found) == 1 else frames(found)


def frame(run: Run) -> pd.DataFrame:
    """Tabulate a run: the columns of `COLUMNS`, one row per case that was planned or recorded."""
    import pandas as pd

    lost = {one.case.id: one.factor for one in regrets(run)}
    gained = {one.case.id: one.factor for one in tuned(run)}
    rows = [
        {**_row(record), "regret": lost.get(record.case.id), "option_gain": gained.get(record.case.id)}
        for record in run.records
    ]
    rows += [{**_case_columns(case), "status": status, "reason": reason} for case, status, reason in run.waiting]
    return _typed(pd.DataFrame(rows, columns=list(COLUMNS)))


def frames(runs: Iterable[Run]) -> pd.DataFrame:
    """Tabulate several runs under one another, with a first column `run` that has each one's label."""
    import pandas as pd

    tables = [frame(run).assign(run=run.label) for run in runs]
    table = tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)
    return table[["run", *COLUMNS]]


def with_marks(run: Run) -> Run:
    """Name approximate implementations as such wherever a run names them, for figures and tables that people read."""
    approximate = {
        record.case.implementation
        for record in run.records
        if record.agreement and record.agreement.approximation
        if not record.case.implementation.endswith(APPROXIMATE)
    }
    if not approximate:
        return run

    def name(held: Named) -> Named:
        is_marked = held.implementation in approximate
        return held.model_copy(update={"implementation": held.implementation + APPROXIMATE}) if is_marked else held

    return replace(
        run,
        records=tuple(record.model_copy(update={"case": name(record.case)}) for record in run.records),
        waiting=tuple((name(case), status, reason) for case, status, reason in run.waiting),
        verdicts=tuple(name(verdict) for verdict in run.verdicts),
    )


def _case_columns(case: Case) -> dict[str, Any]:
    point = {name: case.point.get(name) for name in AXES}
    return {
        "id": case.id,
        "scenario": case.scenario,
        "problem": case.problem,
        "implementation": case.implementation,
        "default": case.default,
        **{name: str(value) if isinstance(value, list | dict) else value for name, value in point.items()},
        "dtype": case.dtype,
        "device": case.device,
        "direction": case.direction,
        "cache": case.cache,
    }


def _row(record: Record) -> dict[str, Any]:
    row = _case_columns(record.case) | {"status": record.status, "reason": record.reason}
    if time := record.time:
        row |= {
            "time_s": time.seconds,
            "low_s": time.interval[0] if time.interval else None,
            "high_s": time.interval[1] if time.interval else None,
            "statistic": time.statistic,
            "median_s": time.median,
            "best_s": time.best,
            "law_s": time.for_laws,
            "samples": len(time.samples),
            "rounds": time.rounds,
            "stop_reason": time.stop_reason,
            "flags": " ".join(time.flags),
            "call_s": time.call_seconds,
        }
        if time.mode == "events":
            row |= {
                "host_s": time.host_seconds,
                "queued_share": time.queued_share,
                "launch_bound": time.is_launch_bound,
            }
    if record.launch:
        row |= {"graph_s": record.launch.graph, "launch_overhead_s": record.launch.overhead}
    if record.ran:
        row["kernel_s"] = record.ran.kernel_seconds
    if counts := record.counts:
        row |= {"operations": counts.operations, "ideal_bytes": counts.ideal_bytes}
        if record.time and record.time.seconds > 0:
            row["tflops"] = counts.operations / record.time.seconds / 1e12
    if memory := record.memory:
        row |= {
            "peak_bytes": memory.peak,
            "extra_bytes": memory.extra,
            "predicted_extra_bytes": memory.predicted,
        }
    if record.agreement:
        row |= _agreement_columns(record.agreement)
    if record.telemetry:
        names = ("energy_j", "gpu_utilization", "power_w", "clock_mhz")
        row |= {name: record.telemetry.summary.get(name) for name in names}
    row |= {"roofline_share": record.roofline_share, "neighbours": record.neighbours, "part": record.part}
    return row


def _agreement_columns(agreement: Agreement) -> dict[str, Any]:
    row = {"agreement_ratio": agreement.ratio, "approximate": agreement.approximation is not None}
    if found := agreement.approximation:
        row |= {
            "cosine": found.cosine,
            "relative_l1": found.relative_l1,
            "rmse": found.rmse,
            "largest_error": found.largest,
        }
    return row


TEXT_COLUMNS = (
    *("id", "scenario", "problem", "implementation", "default", "valid_lens", "bias", "layout", "values", "lengths"),
    *("dtype", "device", "direction", "cache"),
    *("status", "reason", "stop_reason", "flags", "statistic", "part"),
)


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Give each column one type: text without gaps, `causal` as an object, everything else floating point."""
    import pandas as pd

    # One table of all columns at once is made sooner than one whose columns are replaced.
    return pd.DataFrame({name: _typed_column(name, table[name]) for name in table.columns}, columns=table.columns)


def _typed_column(name: str, column: pd.Series) -> pd.Series:
    import pandas as pd

    if name in TEXT_COLUMNS:
        return column.astype(object).where(column.notna(), "").astype(str)
    if name == "causal":
        return column.astype(object)
    return column if column.dtype == float else pd.to_numeric(column, errors="coerce").astype(float)
