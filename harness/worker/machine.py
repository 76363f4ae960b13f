"""What is asked of the machine and not of a case: its environment and its ceilings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.instruments import ceilings
from harness.machine import environment
from harness.protocol.messages import (
    CeilingsMeasured,
    EnvironmentMeasured,
    MeasureCeilings,
    MeasureEnvironment,
)

if TYPE_CHECKING:
    from harness.worker.workbench import Workbench


def measure_environment(bench: Workbench, request: MeasureEnvironment) -> EnvironmentMeasured:
    """Describe the machine, and measure its ceilings for the dtypes of the run."""
    bench.announce("environment")
    described = environment.describe(str(bench.device))
    bench.announce("ceilings")
    measured = ceilings.measure(str(bench.device), request.dtypes, seconds=request.seconds)
    return EnvironmentMeasured(environment=described.model_copy(update={"ceilings": measured}))


def measure_ceilings(bench: Workbench, request: MeasureCeilings) -> CeilingsMeasured:
    """Measure known ceilings again, at the end of a run."""
    bench.announce("ceilings")
    measured = ceilings.remeasure(str(bench.device), request.known, seconds=request.seconds)
    return CeilingsMeasured(ceilings=measured, others=bench.watch.others() if bench.watch else None)
