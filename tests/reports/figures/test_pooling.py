"""Pictures of pooling show what its lesson found, each with the sentence that its numbers give."""

from __future__ import annotations

import re

import pytest

from reports.figures import pooling
from tests.support import lessons


def test_each_method_has_a_row_with_its_error_and_turns():
    figure = pooling.fits(lessons.pooling(), ["average", "gaussian"], key="fits", title="Fits", finding="found")
    assert figure.rows == (
        ("average", "formula of average", "0.0100", "0"),
        ("Nadaraya-Watson", "formula of gaussian", "0.0200", "1"),
    )
    for words in ("average", "Nadaraya-Watson", "x", "y"):
        assert f">{words}<" in figure.svg
    assert "average: mean squared error 0.0100; Nadaraya-Watson: mean squared error 0.0200" in figure.svg


def test_one_method_is_one_panel():
    figure = pooling.fits(lessons.pooling(), ["learned"], key="k", title="Fit", finding="found")
    assert figure.svg.count(">x<") == 1


def test_weights_are_told_by_the_largest_of_each_method():
    figure = pooling.heat_maps(lessons.pooling(), ["average", "best"], key="weights")
    assert [row[-1] for row in figure.rows] == ["1.00", "0.500"]
    assert figure.svg.count(">keys, sorted<") == 2


def test_the_loss_is_told_with_its_first_step_and_how_far_above_the_least_it_ends():
    figure = pooling.losses(lessons.learning())
    assert figure.finding == (
        "One step takes the loss from 100.0 to 40.00; in the 2 epochs after it changes by -20.0. The best w gives "
        "10.00: training ends 100 % above it."
    )
    assert figure.rows[0] == ("1", "100.000000", "60.0")
    assert len(figure.rows) == 4


def test_the_landscape_names_the_valley_and_where_training_ends():
    figure = pooling.landscape(lessons.learning())
    assert "to w = 60;" in figure.finding
    assert "at w = 61.3. The valley is at w = 2.00." in figure.finding
    for words in ("best", "SGD ends here"):
        assert f">{words}<" in figure.svg


def test_seeds_are_counted_by_what_became_of_them():
    figure = pooling.spread(lessons.learning())
    assert figure.finding == (
        "Of 3 seeds 2 more than halve the loss in the first step, 2 end more than 5 % above the least loss, and 2 end "
        "with |w| over 50, where a prediction is the nearest neighbour's value."
    )
    assert "The ringed one, seed 1, is shown above: it is the nearest." in figure.how
    assert figure.rows[1] == ("2", "100", "90.0", "10.4", "-3.00", "2.00", "10.0")


def test_a_method_that_the_lesson_lacks_is_an_error():
    with pytest.raises(KeyError, match="cosine"):
        pooling.chosen(lessons.pooling(), "cosine")


def test_pictures_are_drawn_for_both_chapters_with_numbers_of_their_methods():
    found = pooling.pictures(lessons.lesson())
    assert [figure.id for figure in found["pooling"]] == ["fits", "weights", "kernels"]
    assert [figure.id for figure in found["learning"]] == ["losses", "landscape", "learned-fits", "spread"]
    assert "(mean squared error 0.0100)" in found["pooling"][0].finding
    learned = found["learning"][2].finding
    assert re.findall(r"turns (\d)|(\d) times", learned)
    assert learned.startswith("The curve of the learned w turns 4 times, that of the given kernel 1 times")
