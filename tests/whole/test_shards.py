"""Shards that were really run: their union is the plan, their machine that of any run, and they become one run."""

from __future__ import annotations

import json

import pytest

from harness.results.run import read_run
from tests.support.commands import in_process

pytestmark = pytest.mark.usefixtures("no_page")

ASKED = ("smoke", "--impl", "batched", "--impl", "einsum", "-a", "n=16,32", "--dtype", "float32",
         "--dtype", "float64", "--device", "cpu", "--threads", "1")  # fmt: skip


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Run the two shards of a plan of two curves, one after the other."""
    folder = tmp_path_factory.mktemp("shards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        for number in (1, 2):
            options = ("--fast", "--shard", f"{number}/2", "-o", str(folder / f"part-{number}"))
            done = in_process("run", *ASKED, *options)
            assert done.exit_code == 0, done.output
    return [folder / "part-1", folder / "part-2"]


def test_the_parts_merge_into_the_whole_plan_and_its_machine_is_that_of_a_plan_without_parts(parts, tmp_path):
    plan = json.loads(in_process("plan", *ASKED, "--json").stdout)
    done = in_process("merge", *reversed(parts), "-o", tmp_path / "all", "--json")
    assert done.exit_code == 0, done.output
    merged = json.loads(done.stdout)["merged"]
    run = read_run(tmp_path / "all")
    assert sorted(record.case.id for record in run.records) == sorted(case["case"]["id"] for case in plan["cases"])
    assert [case.case.id for case in run.plan.cases] == [case["case"]["id"] for case in plan["cases"]]
    assert {record.status for record in run.records} == {"ok"}
    assert (merged["duplicates"], merged["missing"], len(merged["groups"])) == ([], {}, 1)
    curves = [{(record.case.dtype) for record in run.records if record.part == part.name} for part in parts]
    assert sorted(map(sorted, curves)) == [["float32"], ["float64"]]


def test_each_part_measured_the_bridge_and_counted_its_neighbours(parts, tmp_path):
    done = in_process("merge", *parts, "-o", tmp_path / "all", "--json")
    merged = json.loads(done.stdout)["merged"]
    readings = [part["bridge"] for part in merged["parts"]]
    assert len({reading["case"] for reading in readings}) == 1
    assert all(reading["seconds"] > 0 for reading in readings)
    records = read_run(tmp_path / "all").records
    # Runs of others may be on this host; those of these tests are not.
    assert all(record.neighbours is not None for record in records)
