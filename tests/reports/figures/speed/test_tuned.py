"""The figure of options holds each default against the best setting at its size, and accuses no default by chance."""

from __future__ import annotations

import csv
import io

from harness.results.pairs.tuned import Tuned, tuned
from reports.chapters.sweeps import speed_chapter
from reports.figures.speed.tuned import POINTS_AT_MOST, draw_options, finding, options
from reports.figures.sweep import sweeps
from reports.frame import frames
from tests.support.drawn import BASE, colors_of
from tests.support.in_turn import stored
from tests.support.runs import ok_case

COLORS = colors_of("online", "loop")


def gain(n, factor, *, name="online", best="block=64", is_told=True):
    case = ok_case(name, n=n, **BASE)
    return Tuned(case, f"{name}:{best}", 4, 1e-3, 1e-3 / factor, factor, 0.9 * factor, 1.1 * factor, is_told)


def test_each_size_is_a_row_in_order_with_its_interval_and_hollow_where_undecided():
    found = [gain(1024, 2.0), gain(128, 0.8, is_told=False), gain(256, 1.5, name="loop")]
    figure = options(found, COLORS, key="k")
    assert [row[:2] for row in figure.rows] == [
        ("loop", "n 256, d 64, heads 2, batch 1"),
        ("online", "n 128, d 64, heads 2, batch 1"),
        ("online", "n 1024, d 64, heads 2, batch 1"),
    ]
    assert figure.rows[2][4:] == ("1.00 ms", "block=64", "500 µs", "2.00×", "1.80×", "2.20×", "4")
    assert f'aria-label="{figure.title}. {figure.finding}"' in figure.svg
    (axes,) = draw_options(found, COLORS).axes
    spans, marks = axes.lines[:6:2], axes.lines[1:6:2]
    assert [list(span.get_xdata()) for span in spans] == [[one.low, one.high] for one in found]
    assert [mark.get_markerfacecolor() == "none" for mark in marks] == [False, True, False]
    assert axes.get_yticklabels()[0].get_text() == "online, n 1,024: block=64"


def test_what_is_found_is_said_of_each_implementation():
    many = [gain(64, 1.2), gain(128, 2.0), gain(256, 1.4, best="block=256"), gain(512, 1.01, is_told=False)]
    said = finding([*many, gain(64, 0.7, name="loop", is_told=False)])
    assert said == (
        "Another setting of online beats its default at 3 of 4 points, mostly block=64, by up to 2.00×; no other "
        "setting of loop beats its default at any of 1 point."
    )


def test_more_points_than_a_figure_has_room_for_are_in_its_table():
    figure = options([gain(n, 1.5) for n in range(1, POINTS_AT_MOST + 6)], COLORS, key="k")
    assert len(figure.rows) == POINTS_AT_MOST + 5
    assert f"{POINTS_AT_MOST} of {POINTS_AT_MOST + 5} are drawn" in figure.how
    assert options([], COLORS, key="k") is None


def test_a_run_with_variants_has_the_figure_in_its_chapter_on_speed(tmp_path):
    run = stored(tmp_path, {"online": 2e-6, "online:block=32": 4e-6, "online:block=256": 1e-6})
    table = frames([run])
    colors = colors_of(*table["implementation"].unique())
    chapter = speed_chapter([run], sweeps([run], table), table, colors)
    (section,) = [one for one in chapter.sections if one.title.startswith("Options")]
    (figure,) = section.figures
    seconds = {(one.case.implementation, one.case.point_key): one.time.seconds for one in run.records}
    for one in tuned(run):
        assert one.seconds == seconds["online", one.case.point_key]
        assert one.best_seconds == seconds["online:block=256", one.case.point_key]
    written = io.StringIO()
    csv.writer(written).writerows([figure.columns, *figure.rows])
    assert "block=256" in written.getvalue()
    assert {len(row) for row in figure.rows} == {len(figure.columns)}
