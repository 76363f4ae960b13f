"""Two sides that took turns, written from drawn rounds: a folder as `attnbench ab` leaves it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from harness.records import Round
from harness.results.journal import write_document
from harness.results.pairs.pair_file import PAIR, SIDES, PairFile, SideFile
from harness.results.run import read_run
from tests.support import runs

if TYPE_CHECKING:
    from pathlib import Path


def make_pair(
    directory: Path, *, factor: float = 1.0, rounds: int = 16, processes: int = 8, of: str = "batched"
) -> Path:
    """Write both sides of a sweep; the calls of one implementation take `factor` times as long in NEW.

    What moves the machine from round to round is shared by both sides, and far larger than their own scatter.
    """
    plain = read_run(runs.make_run(directory / "plain", sweeps=("sequence-length",), failures=False))
    records = [record for record in plain.records if record.time]
    for side in SIDES:
        chance, drift = random.Random(side), random.Random(7)
        visits = []
        for record in records:
            assert record.time is not None
            slower = factor if side == "new" and record.case.implementation == of else 1.0
            visits.append(
                [
                    Round(
                        index=index,
                        process=index * processes // rounds,
                        started=float(index),
                        calls_per_sample=1,
                        samples=[record.time.median * slower * drift.uniform(1, 2) * chance.lognormvariate(0, 0.01)],
                    )
                    for index in range(rounds)
                ]
            )
        runs.write_run(directory / side, records, sweeps=("sequence-length",), judged=False, rounds=visits)
    one = SideFile(interpreter="/opt/python")
    pair = PairFile(created="2026-03-01T12:00:00+00:00", base=one, new=one)
    write_document(directory / PAIR, pair.model_dump(mode="json", by_alias=True))
    return directory
