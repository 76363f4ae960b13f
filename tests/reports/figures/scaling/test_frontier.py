"""The figure of memory's frontier has a row for each implementation, and says in words how far each gets."""

from __future__ import annotations

from harness.results.frontier import Frontier
from reports.figures.scaling.frontier import draw_frontier, finding, frontier
from tests.support.drawn import colors_of

COLORS = colors_of("batched", "einsum", "online")


def reaching(name, reach, *, ran=1024, refused=None):
    fixed = {"scenario": "long-context", "dtype": "float32", "direction": "forward", "point": "d 64"}
    return Frontier(**fixed, implementation=name, limit=2**30, reach=reach, sizes=(512, 1024), ran=ran, refused=refused)


SWEEP = [reaching("batched", 11585, refused=16384), reaching("einsum", 11585), reaching("online", 313000)]


def test_it_is_said_how_far_each_gets_and_from_where_on_cases_were_left_out():
    assert finding(SWEEP) == (
        "By prediction, 1.00 GiB per case are enough for batched and einsum up to n = 11,500 and online up to 313,000. "
        "What is larger was left out (predicted_oom), from n = 16,384 on."
    )
    assert "left out" not in finding(SWEEP[1:])


def test_a_row_has_its_frontier_what_ran_and_what_was_left_out():
    (axes,) = draw_frontier(SWEEP, COLORS).axes
    marks = [(line.get_marker(), line.get_xdata()[0]) for line in axes.lines if line.get_linestyle() == "None"]
    assert marks[:3] == [("|", 11585), ("o", 1024), ("x", 16384)]
    assert len(marks) == 7
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        *("1,000", "3,000", "10,000", "30,000", "100,000", "300,000")
    ]
    drawn = frontier(SWEEP, COLORS, key="k")
    assert drawn.rows[0] == ("batched", "11,585", "1,024", "16,384", "1.00 GiB")
    assert drawn.rows[1][3] == "–"
    assert frontier([], COLORS, key="k") is None
