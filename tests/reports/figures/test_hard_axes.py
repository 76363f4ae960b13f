"""Whatever a sweep is like, no label of a figure meets another or leaves the figure, and nothing warns."""

from __future__ import annotations

import itertools
import json
import random
import re
import warnings

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from harness.results import journal
from harness.results.run import read_run
from reports import style
from reports.figures.sweep import sweeps
from reports.frame import frames
from reports.page.render import html
from reports.style import drawing
from tests.support import runs

BASE = {"d": 64, "heads": 2, "batch": 1}
USUAL = ("batched", "loop", "sdpa-math")
ODD = ("<b>x</b>", "\N{PARTY POPPER}\N{PARTY POPPER} emoji", "n" * 80, "W" * 24, "$\\frac$", "sdpa-math")
MANY = (*(f"implementation-{number}" for number in range(24)), "sdpa-math")
# Axes, the rest of the point, and implementations, of sweeps that a logarithm or a margin does not like.
HARD = {
    "a scale of zero": ({"scale": [0.0, 0.02, 1.0], "n": [64, 128]}, BASE, USUAL),
    "lengths of zero": ({"valid_lens": [0, 1, 16, 33]}, {**BASE, "n": 33}, USUAL),
    "64 sizes": ({"n": list(range(16, 1025, 16))}, BASE, USUAL),
    "sizes that lie close": ({"n": [64, 127, 128, 255, 256, 511, 512, 1023, 1024]}, BASE, USUAL),
    "a category alone": ({"causal": [False, True]}, {**BASE, "n": 64}, USUAL),
    "a category beside sizes": ({"causal": [False, True], "n": [64, 128, 256]}, BASE, USUAL),
    "one size": ({"n": [1024]}, BASE, USUAL),
    "one implementation": ({"n": [64, 128, 256]}, BASE, ("batched",)),
    "twelve orders of magnitude": ({"n": [1, 10**3, 10**6, 10**9, 10**12]}, BASE, USUAL),
    "names of all sorts": ({"n": [64, 128, 256]}, BASE, ODD),
    "many implementations": ({"n": [64, 128, 256]}, BASE, MANY),
}


@pytest.fixture
def drawn(monkeypatch):
    """Collect the figures that a page draws."""
    figures, print_figure = [], drawing._printed

    def printed(figure):
        text = print_figure(figure)
        figures.append(figure)
        return text

    monkeypatch.setattr(drawing, "_printed", printed)
    return figures


@pytest.fixture
def run_of(tmp_path, monkeypatch):
    """Return a function that makes a run of one scenario."""

    def make(axes, base, implementations):
        monkeypatch.setitem(runs.SWEEPS, "hard", {"question": "?", "axes": axes, "base": base})
        for name in implementations:
            monkeypatch.setitem(runs.SPEEDS, name, runs.SPEEDS.get(name, (2e-5, 1e10, 0.0)))
        points = [{**base, **dict(zip(axes, values, strict=True))} for values in itertools.product(*axes.values())]
        noise = random.Random(0)
        records = [
            runs._record(runs.ok_case(name, scenario="hard", **point), noise=noise, speed=1.0)
            for point in points
            for name in implementations
        ]
        runs.write_run(tmp_path / "run", records, sweeps=("hard",), judged=False)
        return read_run(tmp_path / "run")

    return make


def texts_of(figure):
    """List what is written in a figure: names, axis labels, and those of ticks in view."""
    found = [text for text in figure.texts if text.get_text()]
    found += [text for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        found += [text for text in (*axes.texts, axes.title, axes._left_title, axes._right_title) if text.get_text()]
        found += axes.get_legend().get_texts() if axes.get_legend() else []
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            low, high = sorted(axis.get_view_interval())
            found += [axis.label] if axis.label.get_text() else []
            found += [
                tick.label1
                for tick in axis.get_major_ticks()
                if low <= tick.get_loc() * (1 + 1e-9) and tick.get_loc() <= high * (1 + 1e-9)
                if tick.label1.get_visible() and tick.label1.get_text()
            ]
    return found


def misplaced(figure):
    """List the texts of a figure that leave it or meet another, by more than a point."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in texts_of(figure)]
    outside = [text for text, box in boxes if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1]
    meeting = [
        (text, other)
        for (text, a), (other, b) in itertools.combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]
    return outside + meeting


@pytest.mark.parametrize("name", HARD)
def test_no_label_meets_another_or_leaves_its_figure_and_nothing_warns(name, run_of, drawn):
    run = run_of(*HARD[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = html([run])
    assert len(drawn) >= 4
    with style.names_as_text():
        assert [(figure.axes[0].get_xlabel(), found) for figure in drawn if (found := misplaced(figure))] == []
    assert "nan" not in re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL).lower().split()


@pytest.mark.parametrize("rounds", [0, 1], ids=["no round", "one round"])
def test_a_run_that_was_interrupted_early_is_drawn_for_what_there_is(rounds, tmp_path, drawn):
    directory = runs.make_run(tmp_path / "run", complete=False, judged=False)
    file = directory / journal.JOURNAL
    lines = file.read_text().splitlines(keepends=True)
    measured = [line for line in lines if json.loads(line)["kind"] == "round"]
    first = [line for line in measured if json.loads(line)["round"]["index"] == 0]
    # Besides whole rounds, the visit of a single case.
    file.write_text("".join(first if rounds else first[:1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = html([read_run(directory)])
    assert "The run is not complete" in page
    assert drawn


def test_such_a_check_finds_labels_that_meet_or_leave():
    figure, axes = style.canvas()
    axes.set_xticks([1.0, 1.01], ["a long label", "another label"])
    axes.set_xlim(0, 10)
    axes.text(0.9, 0.5, "far beyond the right edge of the figure", transform=axes.transAxes)
    assert ("a long label", "another label") in misplaced(figure)
    assert "far beyond the right edge of the figure" in misplaced(figure)


def test_what_varies_beside_sizes_is_a_sweep_of_its_own(run_of):
    run = run_of(*HARD["a scale of zero"])
    found = sweeps([run], frames([run]))
    assert [(sweep.axis, sweep.option, len(sweep.table)) for sweep in found] == [
        ("n", "scale 0", 6),
        ("n", "scale 0.0200", 6),
        ("n", "scale 1", 6),
    ]
    assert all(sweep.option in sweep.conditions for sweep in found)
    assert len({sweep.key for sweep in found}) == 3
    for sweep in found:
        assert not sweep.table.duplicated(["implementation", "n"]).any()
