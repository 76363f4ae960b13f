"""Series hold what differs in one size alone, and say where other code ran."""

from __future__ import annotations

from harness.verdicts.judging import judge
from scenarios.claims import (
    A2,
)
from tests.support.sweeps import SIZES, degrees, overall, scenario, square, sweep


def test_masked_points_and_other_sweeps_do_not_mix_into_a_series():
    decoy = sweep(lambda _: 1.0, base={"d": 64, "heads": 2, "batch": 1, "causal": True})
    decoy += sweep(lambda _: 1.0, base={"d": 32, "heads": 2, "batch": 1}, sizes=SIZES[:6])
    verdict = overall(judge(decoy + sweep(square), [scenario(A2)], [degrees()]))
    assert verdict.evidence["by"]["time along n"] == "consistent"


def test_changes_of_kernels_within_a_sweep_are_listed():
    from harness.records import Ran

    records = [
        r.model_copy(update={"ran": Ran(operators={"bmm" if r.case.point["n"] < 1000 else "flash": 1})})
        for r in sweep(square)
    ]
    rows = judge(records, [scenario(A2)], [degrees()]).verdicts
    assert next(row for row in rows if row.quantity == "time").evidence["changes"] == [1024]
