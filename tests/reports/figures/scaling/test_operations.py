"""Operations are told as the powers they grow with; where several sizes vary, as the rate they reach."""

from __future__ import annotations

import re

from reports.figures.scaling.operations import joint, operations
from tests.support import runs
from tests.support.drawn import BASE, colors_of, sweep_of, swept, timed

COLORS = colors_of("batched", "loop", "sdpa-flash")


def test_counts_that_agree_are_one_line_with_one_law():
    figure = operations(sweep_of(swept("batched", "loop")), COLORS)
    assert figure.finding == "At the large end all implementations count operations that grow as n²."
    assert ">all 2 alike<" in figure.svg
    assert figure.rows[0] == ("batched", "64", "2.10 MFLOP")


def test_counts_that_differ_are_told_each():
    records = swept("batched", "loop")
    linear = [
        r.model_copy(update={"counts": r.counts.model_copy(update={"operations": 100 * r.case.point["n"]})})
        if r.case.implementation == "loop" else r for r in records
    ]  # fmt: skip
    figure = operations(sweep_of(linear), COLORS)
    assert figure.finding == "At the large end operations grow as n² for batched and n for loop."
    assert "alike" not in figure.svg


def test_counts_that_stay_do_not_change():
    constant = [
        r.model_copy(update={"counts": r.counts.model_copy(update={"operations": 100})}) for r in swept("batched")
    ]
    assert "do not change with n." in operations(sweep_of(constant), COLORS).finding


def test_a_level_line_does_not_cross_out_its_label():
    constant = [
        r.model_copy(update={"counts": r.counts.model_copy(update={"operations": 100})})
        for r in swept("batched", "loop")
    ]
    svg = operations(sweep_of(constant), COLORS).svg
    label = float(re.search(r'y="([\d.]+)"[^>]*>all 2 alike<', svg)[1])
    line = float(re.findall(r'<use [^>]*y="([\d.]+)" style="fill:var', svg)[-1])
    assert label < line - 4


def test_one_size_of_each_has_no_exponent():
    apart = [*swept("batched", sizes=(64,)), *swept("loop", sizes=(128,))]
    assert operations(sweep_of(apart), COLORS).finding == "No implementation was counted at two sizes: no exponent."


def test_what_was_not_counted_has_no_figure():
    bare = [record.model_copy(update={"counts": None}) for record in swept("batched")]
    assert operations(sweep_of(bare), COLORS) is None
    assert joint(sweep_of(bare), COLORS) is None


def test_a_joint_sweep_names_the_highest_rate():
    points = [{**BASE, "n": n, "d": d} for n in (64, 128) for d in (32, 64)]
    records = [timed(runs.ok_record("batched", **point), 1e-3) for point in points]
    records += [timed(runs.ok_record("sdpa-flash", **point), 5e-4) for point in points]
    sweep = sweep_of(records)
    assert sweep.axis is None
    figure = joint(sweep, COLORS)
    # The largest point has 4 * 2 * 128^2 * 64 operations.
    assert figure.finding == "Of 8 cases, sdpa-flash has the highest rate, 16.8 GFLOP/s."
    assert len(figure.rows) == 8
