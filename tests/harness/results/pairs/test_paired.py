"""Speed-ups from paired rounds: drift that both cases met cancels, noise is not called a difference."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace

import pytest

from harness.records import Round
from harness.results.pairs.paired import _logs, paired, policy_of
from harness.results.run import read_run
from reports.figures.speed.speed_up import speed_up, speed_ups
from reports.figures.sweep import sweeps
from reports.frame import frame, frames
from tests.support import runs

SIZES = (64, 128, 256, 512, 1024, 2048)


def write(tmp_path, *, factor, rounds=5, drift=0.0, noise=0.005, short=(), processes=1):
    """Write a run in which `batched` takes `factor` times as long as the baseline, round by round, while both drift."""
    drawn = random.Random(1)
    records, journal = [], []
    for n in SIZES:
        for name in ("sdpa-math", "batched"):
            count = 3 if name in short else rounds
            seconds = 1e-3 * n * (factor if name == "batched" else 1.0)
            visits = [
                [seconds * (1 + drift) ** index * math.exp(drawn.gauss(0, noise)) for _ in range(3)]
                for index in range(count)
            ]
            flat = sorted(sample for visit in visits for sample in visit)
            record = runs.ok_record(name, n=n, d=64, heads=2, batch=1)
            time = record.time.model_copy(
                update={"samples": [s for visit in visits for s in visit], "canary": [], "round_lengths": [3] * count,
                        "rounds": count, "median": flat[len(flat) // 2], "low": flat[0], "high": flat[-1],
                        "best": flat[1], "flags": []}
            )  # fmt: skip
            records.append(record.model_copy(update={"time": time}))
            journal.append(
                [
                    Round(index=i, process=i % processes, started=0.0, calls_per_sample=1, samples=visit)
                    for i, visit in enumerate(visits)
                ]
            )
    runs.write_run(tmp_path / "run", records, judged=False, rounds=journal)
    return read_run(tmp_path / "run")


def test_drift_that_both_met_does_not_hide_a_difference(tmp_path):
    run = write(tmp_path, factor=1.2, drift=0.2)
    table = frame(run).assign(run=run.label)
    own = speed_ups(table, baseline="sdpa-math")
    told = speed_ups(table, baseline="sdpa-math", pairs=paired(run, baseline="sdpa-math"))
    mine = told[told["implementation"] == "batched"]
    assert set(own.loc[own["implementation"] == "batched", "outcome"]) == {"undecided"}
    assert set(mine["outcome"]) == {"slower"}
    assert mine["speed_up"].to_list() == pytest.approx([1 / 1.2] * len(SIZES), rel=0.02)
    assert (mine["speed_up_high"] < 1).all()
    assert (mine["rounds"] == 5).all()


@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_equals_are_not_told_apart(tmp_path, factor):
    pairs = paired(write(tmp_path, factor=factor), baseline="sdpa-math")
    assert len(pairs) == len(SIZES)
    assert not {pair.outcome for pair in pairs.values()} & {"faster", "slower"}


def test_only_rounds_that_both_have_are_compared(tmp_path):
    pairs = paired(write(tmp_path, factor=2.0, short=("batched",)), baseline="sdpa-math")
    assert {pair.rounds for pair in pairs.values()} == {3}


def test_records_without_a_journal_of_rounds_pair_them_by_order(tmp_path):
    run = write(tmp_path, factor=1.5)
    runs.write_run(tmp_path / "bare", list(run.records), judged=False, rounds=[[] for _ in run.records])
    bare = read_run(tmp_path / "bare")
    assert not bare.rounds
    with_rounds, without = paired(run, baseline="sdpa-math"), paired(bare, baseline="sdpa-math")
    assert without == with_rounds


def test_several_processes_are_the_replicates(tmp_path):
    single = paired(write(tmp_path, factor=1.1, rounds=6), baseline="sdpa-math")
    several = paired(write(tmp_path, factor=1.1, rounds=6, processes=3), baseline="sdpa-math")
    assert {pair.processes for pair in single.values()} == {1}
    assert {pair.processes for pair in several.values()} == {3}


def test_a_case_with_one_round_falls_back_to_its_own_interval(tmp_path):
    run = write(tmp_path, factor=2.0, rounds=1)
    assert paired(run, baseline="sdpa-math") == {}
    table = speed_ups(frame(run).assign(run=run.label), baseline="sdpa-math", pairs={})
    assert (table["rounds"] == 0).all()
    assert set(table.loc[table["implementation"] == "batched", "outcome"]) == {"slower"}


def heat_map(run):
    sweep = next(found for found in sweeps([run], frames([run])) if found.scenario == "sequence-length")
    pairs = paired(run, baseline="sdpa-math")
    return sweep, speed_up(sweep, baseline="sdpa-math", pairs=pairs, policy=policy_of(run))


def test_what_is_not_told_apart_has_no_colour(tmp_path):
    def colours(**drawn):
        return set(re.findall(r'style="fill:(#[0-9a-f]{6})', heat_map(write(tmp_path, **drawn))[1].svg)) - {"#20262c"}

    assert len(colours(factor=1.05, noise=0.3)) == 1
    assert len(colours(factor=1.5)) > 1


def test_the_heat_map_says_what_it_rests_on(tmp_path):
    sweep, figure = heat_map(write(tmp_path, factor=1.0))
    assert "5 rounds that both implementations ran in" in figure.how
    assert "Measured in one process" in figure.how
    assert figure.svg.count("≈<") + figure.svg.count("?<") == len(SIZES)
    assert {row[5] for row in figure.rows} <= {"the same", "no significant difference"}
    bare = speed_up(sweep, baseline="sdpa-math")
    assert "All cells share fewer than two rounds with the baseline" in bare.how


def test_in_a_merged_run_a_case_is_paired_within_its_part_alone(tmp_path):
    run = write(tmp_path, factor=1.2)
    apart = [
        record.model_copy(update={"part": "one" if record.case.implementation == "batched" else "other"})
        for record in run.records
    ]
    assert len(paired(run, baseline="sdpa-math")) == len(SIZES)
    assert paired(replace(run, records=tuple(apart)), baseline="sdpa-math") == {}


def test_the_canary_of_one_part_explains_nothing_of_another(tmp_path):
    """Let the canary follow the drift of one part, and in the other, on a slower machine, something else."""
    run = write(tmp_path, factor=1.0, drift=0.2)
    known = {"statistic": "lower quartile", "value": 1.0, "value_low": 1.0, "value_high": 1.0}
    records = [
        record.model_copy(update={"time": record.time.model_copy(update=known), "part": str(index % 2)})
        for index, record in enumerate(sorted(run.records, key=lambda record: record.case.point["n"]))
    ]
    canaries = {"0": lambda index: 1e-4 * 1.2**index, "1": lambda index: 3e-4 * 1.5 ** (index % 2)}
    rounds = {
        record.case.id: [
            visit.model_copy(update={"canary": [canaries[record.part](visit.index)] * 3})
            for visit in run.rounds[record.case.id]
        ]
        for record in records
    }
    mine = [record for record in records if record.part == "0"]
    alone, together = (_logs(replace(run, records=tuple(some), rounds=rounds)) for some in (mine, records))
    assert {record.case.id: together[record.case.id] for record in mine} == alone
    unmarked = tuple(record.model_copy(update={"part": ""}) for record in records)
    mixed = _logs(replace(run, records=unmarked, rounds=rounds))
    assert any(mixed[name] != logs for name, logs in alone.items())
