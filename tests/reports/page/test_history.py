"""The page of a history draws a line for each case, what changed last first, and every name as text."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest

from harness.comparing.history import Change, Moment
from reports import units
from reports.answer import history as answer
from reports.page import history as page
from reports.page.history import BAND_AT_MOST, HEIGHT, MARGIN, WIDTH
from tests.support.comparisons import history_of, machine_of, moment, trend

SVG = "{http://www.w3.org/2000/svg}"


def changed(run, factor):
    return Change(run=run, factor=factor, low=0.95 * factor, high=1.05 * factor)


def drawn(one, *, has_titles=True, **known):
    """Return the drawing of a case, and the points of its line and of its band."""
    element = ET.fromstring(page._line(machine_of(one, count=len(one.seconds), **known), one, has_titles=has_titles))
    return element, *(points(element.find(f"{SVG}{tag}")) for tag in ("polyline", "polygon"))


def points(element):
    if element is None:
        return None
    return [tuple(float(part) for part in pair.split(",")) for pair in element.get("points").split()]


def row(one, **known):
    return page._row(machine_of(one, count=len(one.seconds)), one, has_titles=True, **known)


def test_the_page_has_its_parts_and_no_script():
    slow = trend("loop", changes=[changed(2, 1.3)], over_base=[1.0, None, 2.0, 3.0])
    text = page.html(history_of(machine_of(slow, trend("online", missing="oom: 4 GiB")), base="sdpa-math"))
    assert text.startswith("<!doctype html>")
    assert '<h1 id="headline">4 runs, 2 cases: 1 changed for good.</h1>' in text
    assert "by 3 % or more" in text
    assert '<th scope="col">over sdpa-math</th>' in text
    assert f"<li>{trend('online').case.label}: oom: 4 GiB</li>" in text
    assert text.count("<polyline") == 2
    assert "<script" not in text


def test_without_a_base_there_is_no_column_of_ratios():
    text = page.html(history_of(machine_of(trend("loop"))))
    assert ">over " not in text.replace(">over the runs<", "")
    assert "Missing in the newest run" not in text


@pytest.mark.parametrize(("scatter", "is_said"), [(1.0, False), (1.5, True)])
def test_scatter_beyond_intervals_is_said_where_there_is_any(scatter, is_said):
    text = page.html(history_of(machine_of(trend("loop"), scatter=scatter)))
    assert ("Neighbouring runs differ 1.50× as much as their intervals allow" in text) == is_said


def test_a_run_has_its_number_its_time_its_commit_and_new_software():
    runs = [moment(0, software={"torch": "1"}), moment(1, software={"torch": "2"}, commit="0123abc"), Moment(name="x")]
    found = page._machine(machine_of(trend("loop", count=3), runs=runs))
    assert found["runs"] == [
        (0, "day 0", "2026-01-01 08:00", "", ""),
        (1, "day 1", "2026-01-02 08:00", "0123abc", "torch 2"),
        (2, "x", "", "", "torch none"),
    ]


def test_the_newest_change_comes_first_then_the_largest_then_what_never_changed():
    cases = {
        "online": [],
        "batched": [changed(1, 9.0)],
        "einsum": [changed(3, 1.1)],
        "loop": [changed(1, 2.0), changed(3, 1.5)],
    }
    found = page._machine(machine_of(*(trend(name, changes=of) for name, of in cases.items())))
    assert [one["implementation"] for one in found["trends"]] == ["loop", "einsum", "batched", "online"]
    assert [len(one["changes"]) for one in found["trends"]] == [2, 1, 1, 0]
    assert "since day 3" in found["trends"][0]["changes"][0]


def test_a_row_has_the_newest_time_the_range_and_ratios_with_units():
    found = row(trend("loop", seconds=[1e-3, None, 4e-3, 2e-3], over_base=[1.5, None, 0.5, 1.0]))
    assert (found["newest"], found["range"]) == ("2.00 ms", "1.00 ms to 4.00 ms")
    assert (found["ratio"], found["ratios"]) == ("1.00×", "0.500× to 1.50×")
    assert (found["implementation"], found["case"]) == ("loop", "n=64,d=64,heads=2,batch=1 float32 forward")


def test_a_row_of_which_nothing_is_known_has_dashes_and_no_drawing():
    found = row(trend("loop", seconds=[None, None], over_base=[None, None], missing="not in the newest run"))
    assert {found["newest"], found["range"], found["ratio"]} == {units.ABSENT}
    assert (found["ratios"], found["svg"], found["missing"]) == ("", "", "not in the newest run")


def test_a_row_without_a_base_has_no_ratio():
    found = row(trend("loop"))
    assert (found["ratio"], found["ratios"]) == (units.ABSENT, "")


def test_a_line_goes_from_edge_to_edge_and_longer_is_higher():
    _, line, _ = drawn(trend("loop", seconds=[1e-3, 2e-3, 4e-3]))
    assert [x for x, _ in line] == [MARGIN, WIDTH / 2, WIDTH - MARGIN]
    (_, first), (_, second), (_, third) = line
    assert first > second > third
    # Equal factors are equal steps: the scale is logarithmic.
    assert first - second == pytest.approx(second - third, abs=0.2)


def test_a_run_without_a_time_leaves_its_place_free():
    _, line, band = drawn(trend("loop", seconds=[1e-3, None, 1e-3]))
    assert [x for x, _ in line] == [MARGIN, WIDTH - MARGIN]
    assert len(band) == 4


def test_intervals_are_a_band_around_the_line_and_cut_where_they_reach_far():
    seconds = [1e-3, 1e-3]
    wide = trend("loop", seconds=seconds, low=[1e-9, 0.9e-3], high=[1.0, 1.1e-3])
    _, line, band = drawn(wide)
    (left, right), ends = line, dict(zip(("top left", "top right", "bottom right", "bottom left"), band, strict=True))
    assert ends["top left"][1] < ends["top right"][1] < right[1] < ends["bottom right"][1] < ends["bottom left"][1]
    assert (ends["top left"][1], ends["bottom left"][1]) == (MARGIN, HEIGHT - MARGIN)
    # Both ends are cut at one factor, so that the time is in their middle.
    assert left[1] == pytest.approx(HEIGHT / 2, abs=0.1)
    step = (HEIGHT - 2 * MARGIN) * math.log(1.1) / (2 * math.log(BAND_AT_MOST))
    assert right[1] - ends["top right"][1] == pytest.approx(step, abs=0.1)


def test_times_without_intervals_are_a_line_alone():
    _, line, band = drawn(trend("loop", low=[None] * 4, high=[None] * 4))
    assert len(line) == 4
    assert band is None


def test_scatter_of_less_than_a_twentieth_does_not_fill_the_height():
    steady = trend("loop", seconds=[1e-3, 1.001e-3], low=[None] * 2, high=[None] * 2)
    _, ((_, first), (_, second)), _ = drawn(steady)
    assert 0 < first - second < 0.05 * HEIGHT


def test_a_single_run_is_a_point_inside_of_the_drawing():
    element, line, band = drawn(trend("loop", seconds=[1e-3]))
    assert len(line) == 1
    assert band is None
    assert len(element.findall(f"{SVG}circle")) == 1
    assert element.get("aria-label").endswith(" over 1 run")


@pytest.mark.parametrize(("factor", "color"), [(1.3, "var(--bad)"), (0.7, "var(--good)")])
def test_a_change_is_marked_at_its_run_in_its_colour(factor, color):
    element, line, _ = drawn(trend("loop", changes=[changed(2, factor)]))
    (mark,) = element.findall(f"{SVG}line")
    assert (mark.get("x1"), mark.get("x2")) == (f"{line[2][0]:.1f}",) * 2
    assert mark.get("stroke") == color


def test_points_say_their_time_and_run_unless_there_are_too_many(monkeypatch):
    one = trend("loop")
    element, *_ = drawn(one)
    said = [title.text for title in element.iter(f"{SVG}title")]
    assert said == [f"1.00 ms: {answer.run_words(machine_of(one), place)}" for place in range(4)]
    monkeypatch.setattr(page, "TITLES_AT_MOST", 4)
    assert "<circle" in page.html(history_of(machine_of(one)))
    monkeypatch.setattr(page, "TITLES_AT_MOST", 3)
    assert "<circle" not in page.html(history_of(machine_of(one)))


def test_names_are_text_in_the_page_and_in_its_drawings():
    named = trend("loop")
    named = named.model_copy(update={"case": named.case.model_copy(update={"implementation": '<b>"&'})})
    runs = [Moment(name="<i>&\ud800")] * 4
    text = page.html(history_of(machine_of(named, runs=runs, name="<u>"), base="<s>"))
    assert not re.search("<[bius]>", text)
    assert "&lt;i&gt;&amp;\ufffd" in text
    for svg in re.findall(r"<svg.*?</svg>", text):
        assert ET.fromstring(svg).get("aria-label").startswith('<b>"& n=64')
