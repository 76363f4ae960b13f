"""Small multiples: a panel for each sweep on one scale of time, names below, and none for a single sweep."""

from __future__ import annotations

from dataclasses import replace

from reports.figures.scaling.overview import overview
from tests.support.drawn import colors_of, sweep_of, swept

COLORS = colors_of("batched", "loop")


def two():
    one = sweep_of(swept("batched", "loop"))
    return [one, replace(one, dtype="float16")]


def test_each_sweep_has_a_panel_named_and_all_share_the_scale_of_time():
    drawn = two()
    names = {drawn[0].key: "lengths", drawn[1].key: "lengths, half"}
    figure = overview(drawn, COLORS, key="run", names=names)
    assert figure.id == "overview-run"
    assert ">lengths<" in figure.svg
    assert ">lengths, half<" in figure.svg
    assert figure.svg.count(">seconds per call<") == 1
    assert {row[0] for row in figure.rows} == set(names.values())
    assert (
        figure.finding == "Fastest at the largest size: loop in lengths and lengths, half."
        or "batched" in figure.finding
    )


def test_one_sweep_or_one_size_needs_no_glance():
    one = sweep_of(swept("batched", "loop"))
    single = replace(one, table=one.table[one.table["n"] == 64])
    assert overview([one], COLORS, key="run", names={}) is None
    assert overview([one, replace(single, axis="n")], COLORS, key="run", names={}) is None
