"""What the dispatcher lost is the best pinned backend's speed-up over it; without any there is nothing to say."""

from __future__ import annotations

import math
import random

import pytest

from harness.records import Round
from harness.results.pairs.regret import regrets
from harness.results.run import read_run
from reports.frame import frame
from tests.support import runs

ROUNDS = 6


def stored(tmp_path, seconds, *, picked="math"):
    """Store a run of implementations that take so many seconds at two lengths, visited in turn."""
    drawn, records, journal = random.Random(1), [], []
    for n in (64, 128):
        for name, value in seconds.items():
            visits = [[n * value * math.exp(drawn.gauss(0, 0.003)) for _ in range(3)] for _ in range(ROUNDS)]
            record = runs.ok_record(name, n=n, d=64, heads=2, batch=1)
            known = {"samples": [s for visit in visits for s in visit], "canary": [], "round_lengths": [3] * ROUNDS}
            time = record.time.model_copy(update={**known, "rounds": ROUNDS})
            ran = record.ran.model_copy(update={"backend": picked})
            records.append(record.model_copy(update={"time": time, "ran": ran}))
            journal.append(
                [Round(index=i, started=0.0, calls_per_sample=1, samples=visit) for i, visit in enumerate(visits)]
            )
    runs.write_run(tmp_path / "run", records, judged=False, rounds=journal)
    return read_run(tmp_path / "run")


def test_the_loss_is_against_the_best_pinned_backend_and_no_other_implementation(tmp_path):
    seconds = {"sdpa-auto": 1.5e-6, "sdpa-math": 1.5e-6, "sdpa-flash": 1e-6, "batched": 0.5e-6}
    run = stored(tmp_path, seconds)
    found = regrets(run)
    assert [(one.best, one.picked, one.is_told) for one in found] == [("sdpa-flash", "math", True)] * 2
    for one in found:
        assert one.factor == pytest.approx(1.5, rel=0.03)
        assert one.low < 1.5 < one.high
    table = frame(run)
    assert table.loc[table["implementation"] == "sdpa-auto", "regret"].to_list() == pytest.approx([1.5] * 2, rel=0.03)
    assert table.loc[table["implementation"] != "sdpa-auto", "regret"].isna().all()


def test_a_choice_that_is_the_best_lost_nothing(tmp_path):
    seconds = {"sdpa-auto": 1e-6, "sdpa-math": 1.5e-6, "sdpa-flash": 1e-6}
    assert [(one.best, one.is_told) for one in regrets(stored(tmp_path, seconds))] == [("sdpa-flash", False)] * 2


def test_without_a_choice_or_without_a_backend_there_is_nothing_to_compare(tmp_path):
    assert regrets(stored(tmp_path / "a", {"sdpa-math": 1e-6, "sdpa-flash": 1e-6})) == []
    assert regrets(stored(tmp_path / "b", {"sdpa-auto": 1e-6, "batched": 1e-6})) == []
