"""A reason's sentence has the unit that the caller writes, and sizes as people write them."""

from __future__ import annotations

import pytest

from harness.scaling import wording
from harness.scaling.combs import Comb
from harness.scaling.reasons import (
    DominantTerm,
    ExponentInterval,
    FixedCost,
    JudgeApart,
    LowerTermPossible,
    MeasureSizes,
    RepeatSizes,
    Scatter,
    ShortRange,
    TooFewSizes,
)

FLOOR = FixedCost(cost=0.000248, smallest=2.5, share_at_smallest=0.164, largest=1048576, share_at_largest=0.004)
BAND = {"band_low": 1.75, "band_high": 2.25}


def test_a_cost_is_written_in_the_callers_unit():
    words = wording.sentence(FLOOR, cost=lambda value: f"{1e6 * value:.0f} microseconds")
    assert words == ("a fixed cost of 248 microseconds hides the law: it is 16 % of the cost at 2.5 and 0 % at 1048576")


@pytest.mark.parametrize(("value", "text"), [(0.000248, "0.000248"), (1234.5, "1.23e+03"), (2.0, "2")])
def test_a_cost_without_a_unit_has_three_digits(value, text):
    assert wording.three_digits(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(4096, "4096"), (12.0, "12"), (2.5, "2.5"), (9.999, "10"), (10.4, "10"), (1e7, "10000000"), (0.125, "0.125")],
)
def test_a_size_is_whole_from_ten_on(value, text):
    assert wording.size(value) == text


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (TooFewSizes(sizes=3, at_least=7), "3 sizes are too few to tell laws apart (at least 7 are needed)"),
        (
            ShortRange(ratio=2.5, at_least=16.0),
            "a size range of 2.5 times is too short to tell laws apart (at least 16 times is needed)",
        ),
        (Scatter(residual=0.305), "costs scatter 30 % around the best curve, more than any law explains"),
        (
            Scatter(residual=0.21, comb=Comb(multiple=2, ratio=1.4)),
            (
                "costs scatter 21 % around the best curve, more than any law explains: odd sizes cost 1.4 times what "
                "even ones do"
            ),
        ),
        (
            Scatter(residual=0.21, comb=Comb(multiple=16, ratio=1.3)),
            (
                "costs scatter 21 % around the best curve, more than any law explains: other sizes cost 1.3 times what "
                "multiples of 16 do"
            ),
        ),
        (
            ExponentInterval(low=1.0, high=1.8, **BAND, where="partly inside"),
            "the exponent is between 1.00 and 1.80, only partly inside 1.75 to 2.25",
        ),
        (
            ExponentInterval(low=1.9, high=2.1, **BAND, where="inside", up_to_logarithm=True),
            "the exponent is between 1.90 and 2.10, inside 1.75 to 2.25 (up to a log factor)",
        ),
        (
            DominantTerm(**BAND, up_to_logarithm=True),
            (
                "with a term one power lower, the exponent is inside 1.75 to 2.25 (up to a log factor), and its term "
                "is most of the cost at the largest size"
            ),
        ),
        (
            LowerTermPossible(low=1.4, high=1.6, claimed=1.5),
            "the exponent alone is between 1.40 and 1.60; with a term one power lower, 1.5 is possible but not shown",
        ),
    ],
)
def test_each_reason_has_its_sentence(reason, words):
    assert wording.sentence(reason) == words


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (MeasureSizes(sizes=11, start=64, end=4096), "measure 11 sizes from 64 to 4096"),
        (
            MeasureSizes(sizes=11, start=2.5, end=160, past_fixed_cost=True),
            "measure 11 sizes from 2.5 to 160, where the fixed cost no longer counts",
        ),
        (JudgeApart(multiple=2), "judge even sizes and odd ones apart"),
        (JudgeApart(multiple=16), "judge multiples of 16 and other ones apart"),
        (RepeatSizes(sizes=9, precision=0.02), "repeat the 9 sizes to a precision of 2 % on a quiet machine"),
    ],
)
def test_advice_is_an_imperative(wanted, words):
    assert wording.advice(wanted) == words
