"""The sweeps of attention: growth along each axis, who is faster, and what launching adds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.records import Ceiling, Launch
from harness.results.run import read_run
from reports import style
from reports.chapters.sweeps import scaling_chapter, speed_chapter
from reports.figures.sweep import sweeps
from tests.support import runs
from tests.support.drawn import BASE, colors_of, run_of, sweep_of, swept, table_of, timed

COLORS = colors_of("batched", "loop", "sdpa-flash")


def chapters_of(records, **known):
    run = run_of(records, **known)
    table = table_of(run)
    drawn = sweeps([run], table)
    return scaling_chapter([run], drawn, COLORS, left=()), speed_chapter([run], drawn, table, COLORS)


def kinds(section):
    return [figure.id.split("-")[0] for figure in (*section.figures, *section.more)]


def test_growth_along_one_axis_has_time_slopes_memory_and_operations():
    scaling, _ = chapters_of(swept("batched", "loop"))
    (section,) = scaling.sections
    assert (section.title, section.lead) == ("sequence-length", "float32, forward, d 64, heads 2, batch 1")
    assert kinds(section) == ["time", "memory", "slope", "operations"]
    assert len(section.figures) == 2
    assert section.tables == ()


def test_of_several_sweeps_a_glance_and_the_first_are_open_and_the_rest_folded():
    wide = [runs.ok_record("batched", **{**BASE, "n": 64, "d": d}) for d in (32, 64, 128)]
    wide = [one.model_copy(update={"case": one.case.model_copy(update={"scenario": "head-dim"})}) for one in wide]
    scaling, _ = chapters_of([*swept("batched", "loop"), *wide])
    assert [(section.listed, section.is_folded) for section in scaling.sections] == [
        ("at a glance", False),
        ("sequence-length", False),
        ("head-dim", True),
    ]
    assert kinds(scaling.sections[0]) == ["overview"]
    assert scaling.sections[2].finding.startswith("At d = 128")


def test_a_joint_sweep_has_time_against_operations():
    records = [*swept("batched", sizes=(64, 128)), *swept("batched", sizes=(64, 128), d=32)]
    scaling, speed = chapters_of(records)
    assert kinds(scaling.sections[0]) == ["joint"]
    assert speed is None


def test_one_size_of_a_declared_axis_has_no_slope():
    (record,) = swept("batched", sizes=(64,))
    sweep = replace(sweep_of([record]), axis="n")
    chapter = scaling_chapter([run_of([record])], [sweep], COLORS, left=())
    assert kinds(chapter.sections[0]) == ["time"]


def test_sweeps_left_to_the_explorer_are_named_up_to_a_bound():
    sweep = sweep_of(swept("batched"))
    few, many = (
        scaling_chapter([run_of(swept("batched"))], [sweep], COLORS, left=[sweep] * count).lead for count in (2, 8)
    )
    name = "sequence-length (float32, forward)"
    assert few.endswith(f"open in the explorer: {name} and {name}.")
    assert many.endswith(f"{name} and {name} and others.")


def test_a_run_without_sweeps_or_timed_cases_has_neither_chapter():
    failed = runs.failed_record("loop", "oom", "too much", **{**BASE, "n": 64})
    assert chapters_of([failed]) == (None, None)


def test_a_module_measured_beside_attention_is_pointed_to():
    other = [r.model_copy(update={"case": r.case.model_copy(update={"problem": "multihead", "id": f"m{r.case.id}"})})
             for r in swept("loop")]  # fmt: skip
    run = run_of([*swept("batched"), *other])
    table = table_of(run)
    drawn = [sweep for sweep in sweeps([run], table) if sweep.problem == "attention"]
    assert "are in the chapter Multi-head attention." in speed_chapter([run], drawn, table, COLORS).lead


def launched(record, **known):
    return timed(record, 1e-3, call_seconds=2e-3, host_seconds=1.5e-3).model_copy(update={"launch": Launch(**known)})


def test_launches_are_tabulated_with_their_share_or_the_reason_why_not():
    short, long = swept("batched", sizes=(64, 128))
    records = [
        launched(short, graph=8e-4, low=7e-4, high=9e-4, calls=200, inputs=1, overhead=1e-3),
        launched(long, reason="it synchronises"),
    ]
    _, speed = chapters_of(records)
    (table,) = speed.sections[-1].tables
    assert speed.sections[-1].title == "Launches and published figures"
    # What all rows share stands in the caption, once.
    assert table.caption.endswith(", per call (d 64, heads 2, batch 1, dtype float32)")
    assert table.rows == (
        ("batched", "n 64", "2.00 ms", "1.00 ms", "1.50 ms", "800 µs (700 µs to 900 µs)", "1.00 ms (50 %)",
         "200 calls, 1 input set"),
        ("batched", "n 128", "2.00 ms", "1.00 ms", "1.50 ms", "–", "–", "it synchronises"),
    )  # fmt: skip


@pytest.mark.parametrize("names", [("matmul float32", "copy"), ("copy",)])
def test_a_roofline_needs_both_ceilings(names):
    known = {"matmul float32": (9e10, "FLOP/s"), "copy": (1.8e10, "B/s")}
    environment = runs.environment("cpu", "a processor").model_copy(
        update={"ceilings": [Ceiling(name=n, value=known[n][0], unit=known[n][1], how="best") for n in names]}
    )
    _, speed = chapters_of(swept("batched"), environment=environment)
    titles = [section.title for section in speed.sections]
    assert ("Against the machine's ceilings, float32" in titles) == (len(names) == 2)


def test_launches_of_a_gpu_stand_beside_its_published_figures(tmp_path):
    run = read_run(runs.make_gpu_run(tmp_path / "run"))
    section = speed_chapter([run], [], table_of(run), style.looks(["sdpa-cudnn", "sdpa-flash", "sdpa-math"])).sections[
        -1
    ]
    assert (section.title, kinds(section)) == ("Burst and sustained", ["bursts"])
    launches, published = section.tables
    assert launches.caption.startswith("Launch overhead apart from kernel time, per call (d 128, heads 16")
    assert all("(40 %)" in row[-2] for row in launches.rows)
    assert {row[-1] for row in launches.rows} == {"200 calls, 4 input sets"}
    assert published.caption == "Beside figures that others published for this device"
