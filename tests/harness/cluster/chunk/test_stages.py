"""A chunk tells where it is as JSON lines, often enough for a heartbeat and no more."""

from __future__ import annotations

import io

from harness.cluster.chunk.stages import StageLines
from harness.cluster.orders import Stage
from harness.records import Record
from tests.support.steps import FIRST


def test_phases_are_always_told_and_cases_each_half_second():
    stream, now = io.StringIO(), [0.0]
    told = StageLines(stream, clock=lambda: now[0])
    told.phase_begun("agreement", cost=4.0, cases=4)
    told.done(FIRST.case, cost=1.0)
    now[0] = 0.6
    told.done(FIRST.case, cost=1.0)
    told.round_begun(3, cost=2.0, cases=1)
    now[0] = 2.0
    told.failed(Record(case=FIRST.case, status="crashed", reason="planted"), cost=9.0)
    stages = [Stage.model_validate_json(line) for line in stream.getvalue().splitlines()]
    assert [(stage.phase, stage.share) for stage in stages] == [
        ("agreement", 0.0),
        ("agreement", 0.5),
        ("round 3", 0.0),
        ("round 3", 1.0),
    ]
    assert stages[-1].line.endswith("crashed, planted")
