"""Every compared case is a line of its implementation's band, at its ratio, inside of the figure."""

from __future__ import annotations

import pytest

from reports import style
from reports.figures.changes import CASES_AT_MOST, FAR, MARGIN, ratios
from reports.style import drawing
from tests.support.comparisons import at, changes_of, compared


@pytest.fixture
def drawn(monkeypatch):
    """Return a function that draws cases, and gives the figure with its axes."""
    figures, print_figure = [], drawing._printed

    def printed(figure):
        figures.append(figure)
        return print_figure(figure)

    monkeypatch.setattr(drawing, "_printed", printed)

    def draw(*cases, **known):
        with style.names_as_text():
            figure = ratios(changes_of(*cases, **known))
        (axes,) = figures.pop().axes
        return figure, axes

    return draw


def case(ratio, n=64, *, name="batched", low=0.98, high=1.02, outcome="inconclusive"):
    """Return a compared case; its interval's ends are factors of the ratio."""
    return compared(at(n, name), outcome=outcome, ratio=ratio, low=low * ratio, high=high * ratio)


def lines(axes):
    """Return the interval, the ratio and the height of every case in the order of drawing."""
    every = [line.get_xydata().tolist() for line in axes.lines[1:]]
    return [
        (span[0][0], point[0][0], span[1][0], point[0][1]) for span, point in zip(every[::2], every[1::2], strict=True)
    ]


def ticks(axes):
    return [float(tick) for tick in axes.xaxis.get_major_locator()()]


def test_nothing_with_an_interval_is_no_figure():
    bare = compared(at(64), outcome="inconclusive", ratio=1.2)
    assert ratios(changes_of()) is None
    assert ratios(changes_of(bare, compared(at(128), reason="only in NEW"))) is None


def test_a_case_is_drawn_at_its_ratio_with_its_interval(drawn):
    _, axes = drawn(case(1.2), case(0.5, 128), compared(at(256), outcome="inconclusive", ratio=9.0))
    assert [line[:3] for line in lines(axes)] == [
        pytest.approx((0.49, 0.5, 0.51)),
        pytest.approx((1.176, 1.2, 1.224)),
    ]


def test_implementations_have_bands_from_the_top_in_the_order_of_their_cases(drawn):
    names = ("online", "batched", "loop")
    _, axes = drawn(*(case(1.1, n, name=name) for name in names for n in (64, 128, 256)))
    assert [label.get_text() for label in axes.get_yticklabels()] == list(names)
    assert axes.get_ylim() == (2.5, -0.5)
    heights = [line[3] for line in lines(axes)]
    assert [round(height) for height in heights] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len(set(heights)) == 9


def test_the_band_is_what_counts_as_the_same(drawn):
    _, axes = drawn(case(1.2), same_within=0.1)
    (band,) = axes.patches
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((1 / 1.1, 1.1))


def test_of_many_cases_those_furthest_from_one_are_drawn_the_slowest_last(drawn):
    near = [case(1.0 + 1e-4 * place, place + 1) for place in range(CASES_AT_MOST)]
    _, axes = drawn(*near, case(0.5, 1000), case(1.9, 2000))
    found = [line[1] for line in lines(axes)]
    assert len(found) == CASES_AT_MOST
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0.5, 1.9)
    assert min(found[1:]) == pytest.approx(1.0 + 2e-4)


def test_the_finding_counts_every_case_whatever_is_drawn():
    cases = [case(1.2, n, outcome="slower") for n in range(1, CASES_AT_MOST + 6)]
    figure = ratios(changes_of(*cases, case(0.5, 1000, outcome="faster")))
    assert figure.finding == "45 cases slower, 1 case faster."
    assert f"more than {CASES_AT_MOST} cases" in figure.how
    assert (figure.id, figure.wide) == ("changes-ratios", True)
    assert "New over base, case by case. 45 cases slower, 1 case faster." in figure.svg


@pytest.mark.parametrize(
    "ratio", [1.0, 1.0001, 0.9, 1.14, 0.65, 1.6, 0.2, 5.9, 9.0, 0.11, 58.0, 70.0, 1e-3, 900.0, 1e-4, 1e4]
)
def test_ticks_are_few_round_and_inside_of_what_is_drawn(ratio, drawn):
    _, axes = drawn(case(ratio))
    low, high = axes.get_xlim()
    found = ticks(axes)
    assert 1.0 in found
    assert 2 <= len(found) <= 14
    assert low <= min(found) < max(found) <= high
    assert low <= min(1.0, 0.98 * max(ratio, 1 / FAR)) or low == pytest.approx(1 / FAR / MARGIN)
    assert axes.get_xscale() == "log"


@pytest.mark.parametrize(("ratio", "edge"), [(1e6, FAR), (1e-6, 1 / FAR)])
def test_what_lies_beyond_the_last_tick_is_at_the_edge_and_seen(ratio, edge, drawn):
    _, axes = drawn(case(ratio), case(1.0, 128))
    assert (edge, edge, edge) in [line[:3] for line in lines(axes)]
    low, high = axes.get_xlim()
    assert low < edge < high


@pytest.mark.parametrize("name", ["n" * 300, "W" * 24, "$\\frac$", "<b>"])
def test_a_name_of_any_sort_stays_in_the_figure(name, drawn):
    figure, axes = drawn(case(1.2, name=name))
    (label,) = axes.get_yticklabels()
    assert label.get_text() == style.clipped(name)
    axes.figure.draw_without_rendering()
    assert label.get_window_extent().x0 >= 0
    assert "<b>" not in figure.svg


def test_a_figure_is_as_high_as_its_bands_need(drawn):
    _, one = drawn(case(1.2))
    _, many = drawn(*(case(1.2, name=f"kernel-{number}") for number in range(30)))
    assert one.figure.get_size_inches()[1] == pytest.approx(1.4)
    assert many.figure.get_size_inches()[1] == pytest.approx(30 * 0.55 + 0.8)
