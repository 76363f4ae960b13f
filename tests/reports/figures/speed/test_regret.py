"""The figure of regrets names where the choice lost most, and accuses no choice that chance explains."""

from __future__ import annotations

from harness.results.pairs.regret import Regret
from reports.figures.speed.regret import draw_regret, finding, labels, regret
from tests.support.drawn import BASE, colors_of
from tests.support.runs import ok_case

COLORS = colors_of("sdpa-flash", "sdpa-math")


def lost(n, factor, *, is_told=True, best="sdpa-flash", picked="math"):
    return Regret(ok_case("sdpa-auto", n=n, **BASE), picked, best, factor, 0.9 * factor, 1.1 * factor, is_told)


def test_the_greatest_loss_is_named_with_what_was_picked_and_its_interval():
    said = finding([lost(64, 2.0), lost(128, 1.5), lost(256, 3.0, is_told=False)])
    assert "lost against the best backend at 2 of 3 points, most at n 64, d 64, heads 2, batch 1, float32" in said
    assert "it picked math, and sdpa-flash is 2.00× as fast (1.80× to 2.20×)." in said


def test_what_chance_explains_is_no_loss():
    assert "lost nothing" in finding([lost(64, 1.02, is_told=False)])


def test_each_point_is_a_row_with_its_interval_and_hollow_where_undecided():
    found = [lost(64, 2.0), lost(128, 1.02, is_told=False)]
    (axes,) = draw_regret(found, COLORS).axes
    spans, marks = axes.lines[:4:2], axes.lines[1:4:2]
    assert [list(span.get_xdata()) for span in spans] == [[one.low, one.high] for one in found]
    assert [mark.get_markerfacecolor() == "none" for mark in marks] == [False, True]
    assert [row[4] for row in regret(found, COLORS, key="k").rows] == ["sdpa-flash", "sdpa-flash"]
    assert regret([], COLORS, key="k") is None


def test_a_row_names_its_point_by_what_its_sweep_varies():
    found = [lost(1024, 2.0), lost(128, 1.02, is_told=False)]
    assert labels(found) == ["n 1,024", "n 128"]
    assert labels(found[:1]) == ["n 1024, d 64, heads 2, batch 1"]
    (axes,) = draw_regret(found, COLORS).axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["n 1,024: sdpa-flash", "n 128: sdpa-flash"]
