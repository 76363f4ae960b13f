"""Stored runs whose implementations took turns and take so many seconds: for what compares them by rounds."""

from __future__ import annotations

import math
import random

from harness.records import Round
from harness.results.run import read_run
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
