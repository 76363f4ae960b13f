"""What is asked of the machine and not of a case: its environment and its ceilings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.instruments import ceilings
from harness.machine import environment
from harness.protocol.messages import (
    CanaryRead,
    CeilingsMeasured,
    EnvironmentMeasured,
    MeasureCeilings,
    MeasureEnvironment,
    ReadCanary,
)

if TYPE_CHECKING:
    from harness.worker.workbench import Workbench

# Readings of the canary in an answer.
CANARY_READINGS = 3


def measure_environment(bench: Workbench, request: MeasureEnvironment) -> EnvironmentMeasured:
    """Describe the machine, and measure its ceilings for the dtypes of the run."""
    bench.announce("environment")
    described = environment.describe(str(bench.device))
    if not request.dtypes:
        return EnvironmentMeasured(environment=described)
    bench.announce("ceilings")
    measured = ceilings.measure(str(bench.device), request.dtypes, seconds=request.seconds)
    return EnvironmentMeasured(environment=described.model_copy(update={"ceilings": measured}))


def measure_ceilings(bench: Workbench, request: MeasureCeilings) -> CeilingsMeasured:
    """Measure known ceilings again, at the end of a run."""
    bench.announce("ceilings")
    measured = ceilings.remeasure(str(bench.device), request.known, seconds=request.seconds)
    return CeilingsMeasured(ceilings=measured, others=bench.watch.others() if bench.watch else None)


def read_canary(bench: Workbench, _: ReadCanary) -> CanaryRead:
    """Time the canary a few times."""
    bench.announce("canary")
    return CanaryRead(seconds=[bench.canary.seconds() for _ in range(CANARY_READINGS)] if bench.canary else [])
