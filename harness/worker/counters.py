"""A process of its own that makes a case's calls under Nsight Compute, by nsight-python, and writes its counters."""

from __future__ import annotations

import json
import math
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from harness.protocol.messages import ProfileCase
    from harness.worker.workbench import Workbench

# Calls before the one that is counted: the first ones load kernels and choose among them.
UNCOUNTED_CALLS = 3
# What Nsight Compute counts of the kernels of a call, all of them as one range.
METRICS = (
    "gpu__time_duration.sum",
    "sm__throughput.avg.pct_of_peak_sustained_elapsed",
    "sm__inst_executed_pipe_tensor.avg.pct_of_peak_sustained_active",
    "sm__warps_active.avg.pct_of_peak_sustained_active",
    "dram__throughput.avg.pct_of_peak_sustained_elapsed",
    "dram__bytes_read.sum",
    "dram__bytes_write.sum",
    "lts__t_sector_hit_rate.pct",
    "l1tex__t_sector_hit_rate.pct",
)


def count(call: Callable[[], Any], *, folder: Path) -> list[dict[str, Any]]:
    """Count one call by nsight-python, which keeps Nsight Compute's files in `folder`; return a row per counter."""
    import nsight

    def counted(calls: int) -> None:
        for _ in range(calls):
            with nsight.annotate("attnbench_call"):
                call()

    # Replay of a range, since a call may launch several kernels, of which an average of shares would be wrong.
    collect = nsight.analyze.kernel(
        runs=1, metrics=list(METRICS), replay_mode="range", output_prefix=f"{folder}/"
    )(counted)  # fmt: skip
    return rows(collect(1).to_dataframe().to_dict("records"))


def rows(found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return name, value, unit and kernel of each counter that has a value."""
    kept = [row for row in found if row.get("AvgValue") is not None and math.isfinite(float(row["AvgValue"]))]
    return [
        {
            "name": str(row["Metric"]),
            "value": float(row["AvgValue"]),
            "unit": _text(row.get("Unit")),
            "kernel": _text(row.get("Kernel")),
        }
        for row in kept
    ]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def counters_of(bench: Workbench, request: ProfileCase, *, folder: Path) -> list[dict[str, Any]]:
    """Make a case's inputs, call it until it is warm, and count one call."""
    from harness.instruments import directions, timing

    subject = bench.subject(request.case)
    bench.load(subject.implementation)
    inputs = bench.inputs.of(subject, request.seed + 1)
    clock = timing.clock_for(bench.device, cold=False)
    with directions.measured_call(subject, inputs) as measured:
        for _ in range(UNCOUNTED_CALLS):
            measured.call()
        clock.synchronize()
        return count(measured.call, folder=folder)


def main() -> None:
    """Read the start and the case from a file, and write the counters into its folder."""
    # Before torch: Nsight Compute attaches only where nothing has used CUDA yet; its hints are for who writes a script.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nsight  # noqa: F401  # it attaches by being imported

    from harness.protocol.messages import ProfileCase, Start
    from harness.worker.workbench import set_up

    asked = Path(sys.argv[1])
    words = json.loads(asked.read_text(encoding="utf-8"))
    bench = set_up(Start.model_validate(words["start"]), announce=lambda _: None)
    found = counters_of(bench, ProfileCase.model_validate(words["case"]), folder=asked.parent)
    (asked.parent / "counters.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
