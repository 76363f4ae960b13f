"""Local exponents are those of the times, and residuals those of the laws that were judged."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from harness.scaling.law import Law
from reports.figures.scaling.slopes import draw_slopes, local_slopes, residuals, slopes
from tests.support.drawn import SIZES, colors_of, sweep_of, swept, timed

COLORS = colors_of("batched", "loop")


def powers(**exponents):
    return [timed(r, 1e-9 * r.case.point["n"] ** exponents[r.case.implementation]) for r in swept(*exponents)]


def test_a_local_exponent_stands_between_its_sizes():
    table = pd.DataFrame({"implementation": ["a"] * 3, "n": [64.0, 1024.0, 256.0], "t": [1.0, 64.0, 16.0]})
    found = local_slopes(table, "n", "t")
    assert list(found["n"]) == pytest.approx([128.0, 512.0])
    assert list(found["slope"]) == pytest.approx([2.0, 1.0])


def test_repeats_of_a_size_are_one_and_what_is_not_positive_is_none():
    table = pd.DataFrame(
        {
            "implementation": ["a"] * 6 + ["b"],
            "n": [64.0, 64.0, 64.0, 128.0, 256.0, 512.0, 64.0],
            "t": [1.0, 2.0, 9.0, 4.0, 0.0, math.nan, 1.0],
        }
    )
    found = local_slopes(table, "n", "t")
    assert list(found["implementation"]) == ["a"]
    assert list(found["slope"]) == pytest.approx([1.0])


def test_who_leaves_the_band_at_the_large_end_is_named():
    figure = slopes(sweep_of(powers(batched=2.0, loop=1.0)), COLORS, band=0.25)
    assert figure.finding == (
        "Over the three largest steps 1 of 2 implementations stay within the band; outside: loop (1.00)."
    )
    assert "the band is 2 ± 0.25" in figure.how
    assert len(figure.rows) == 2 * (len(SIZES) - 1)


def test_one_size_has_no_exponent():
    figure = slopes(sweep_of([*swept("batched", sizes=(64,)), *swept("loop", sizes=(128,))]), COLORS, band=0.25)
    assert (figure.finding, figure.rows) == ("Fewer than two sizes: no exponent.", ())


def test_a_wild_exponent_stays_at_the_edge_of_the_axes():
    local = pd.DataFrame({"implementation": ["loop"] * 2, "n": [64.0, 128.0], "slope": [2.0, 40.0]})
    (axes,) = draw_slopes(local, "n", COLORS, shared=local, band=0.25).axes
    assert axes.get_ylim()[1] == 5.0
    named = next(text for text in axes.texts if text.get_text() == "loop")
    assert named.get_position()[1] <= 1.0


def test_residuals_are_what_the_law_leaves_over():
    law = Law(first=64, last=2048, sizes=6, exponent=2.0, floor=0.0, slope=1e-9 * 64**2, residual=0.0)
    records = [timed(r, 1e-9 * r.case.point["n"] ** 2 * (1.1 if r.case.point["n"] == 256 else 1.0))
               for r in swept("batched")]  # fmt: skip
    figure = residuals(sweep_of(records), COLORS, laws={"batched": law})
    assert [row[-1] for row in figure.rows] == ["0 %", "0 %", "10 %", "0 %", "0 %", "0 %"]
    assert figure.finding.endswith("most for batched: 4.1 %.")


def test_sizes_outside_of_a_law_have_no_residual():
    law = Law(first=128, last=512, sizes=3, exponent=2.0, floor=0.0, slope=1e-9 * 128**2, residual=0.0)
    figure = residuals(sweep_of(powers(batched=2.0)), COLORS, laws={"batched": law})
    assert [row[1] for row in figure.rows] == ["128", "256", "512"]


def test_without_laws_there_are_no_residuals():
    assert residuals(sweep_of(swept("batched")), COLORS, laws={}) is None
