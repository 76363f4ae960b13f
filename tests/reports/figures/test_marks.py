"""Lines, clouds and guides hold the data that they are given, in the look of each implementation."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from reports import style
from reports.figures import marks
from tests.support.drawn import colors_of, sweep_of, swept

COLORS = colors_of("batched", "sdpa-flash")


def table(**columns):
    return pd.DataFrame(columns)


TWO = table(
    implementation=["sdpa-flash", "batched", "batched", "batched"],
    n=[64.0, 256.0, 64.0, 128.0],
    t=[1.0, 9.0, 3.0, math.nan],
)


def test_a_line_joins_what_is_known_in_order_of_size():
    _, axes = style.canvas()
    marks.lines(axes, TWO, "n", "t", COLORS)
    first, second = axes.lines
    assert (list(first.get_xdata()), list(first.get_ydata())) == ([64.0, 256.0], [3.0, 9.0])
    assert first.get_color() == COLORS["batched"].color
    assert second.get_marker() == COLORS["sdpa-flash"].marker


@pytest.mark.parametrize("draw", [marks.points, marks.cloud])
def test_points_are_not_joined(draw):
    _, axes = style.canvas()
    draw(axes, TWO, "n", "t", COLORS)
    assert [line.get_linestyle() for line in axes.lines] == ["None", "None"]
    assert sorted(len(line.get_xdata()) for line in axes.lines) == [1, 2]


def test_a_cloud_of_very_many_is_thinned_evenly_with_its_ends():
    many = table(implementation=["batched"] * 5000, n=[float(n) for n in range(5000)], t=[1.0] * 5000)
    _, axes = style.canvas()
    marks.cloud(axes, many, "n", "t", COLORS)
    drawn = list(axes.lines[0].get_xdata())
    assert len(drawn) == marks.POINTS_AT_MOST
    assert (drawn[0], drawn[-1]) == (0.0, 4999.0)
    assert marks.sampled(many) == " Of 5,000 cases about 900, evenly chosen, are drawn."
    assert marks.sampled(many.head(marks.POINTS_AT_MOST)) == ""


def test_a_rare_implementation_stays_in_a_cloud():
    many = table(implementation=["batched"] * 5000 + ["sdpa-flash"], n=[1.0] * 5001, t=[1.0] * 5001)
    _, axes = style.canvas()
    marks.cloud(axes, many, "n", "t", COLORS)
    assert [len(line.get_xdata()) for line in axes.lines][-1] == 1


@pytest.mark.parametrize(("axis", "exponent"), [("n", 2), ("d", 1), ("width", 1)])
def test_a_guide_has_the_expected_slope_below_every_point(axis, exponent):
    rows = table(**{axis: [64.0, 256.0], "t": [3.0, 3.0 * 4**exponent], "implementation": ["batched"] * 2})
    _, axes = style.canvas()
    marks.guide(axes, rows, axis, "t")
    (line,) = axes.lines
    assert list(line.get_ydata()) == pytest.approx([0.6 * 3.0, 0.6 * 3.0 * 4**exponent])


def test_one_size_has_no_guide():
    _, axes = style.canvas()
    marks.guide(axes, TWO[TWO["n"] == 64.0], "n", "t")
    assert len(axes.lines) == 0


def test_ends_beyond_the_axes_are_moved_to_their_edge():
    _, axes = style.canvas()
    axes.set_ylim(0.0, 3.0)
    found = marks.inside({"a": (1.0, 9.0), "b": (2.0, -4.0), "c": (3.0, 2.0)}, axes)
    assert found == {"a": (1.0, 3.0), "b": (2.0, 0.0), "c": (3.0, 2.0)}


def test_a_joint_sweep_has_no_axis():
    records = [*swept("batched", sizes=(64, 128)), *swept("batched", sizes=(64, 128), d=32)]
    assert marks.axis_of(sweep_of(swept("batched"))) == "n"
    with pytest.raises(ValueError, match="'sequence-length' sweeps several axes at once"):
        marks.axis_of(sweep_of(records))


def test_a_drawing_is_described_with_its_lines_and_conditions():
    drawing, _ = style.canvas()
    svg = marks.svg_of(drawing, "k", "Time", sweep_of(swept("batched", "sdpa-flash")), COLORS)
    assert 'aria-label="Time: lines for batched and sdpa-flash; float32, forward, d 64, heads 2, batch 1.' in svg


def test_ticks_are_brief_and_tables_are_not():
    assert marks.round_seconds(2e-3) == "2 ms"
    assert marks.round_count_in("FLOP")(2.0e9) == "2 GFLOP"
    assert marks.count_in("FLOP")(2.0e9) == "2.00 GFLOP"
