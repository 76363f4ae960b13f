"""One figure of a page as a file: found by its name, in three formats, its numbers as values."""

from __future__ import annotations

import csv
import io

import pytest

from reports import units
from reports.figures.figure import Figure
from reports.page.pictures import find, numbers, picture
from tests.support import runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "example"
    return runs.make_run(path, sweeps=("sequence-length",), failures=False)


def figure(name, columns=(), rows=()):
    return Figure(id=name, title=name, svg="", alt="", how="", finding="", columns=columns, rows=rows)


DRAWN = [figure("time-run-n-float32"), figure("time-run-n-float16"), figure("memory-run-n-float32")]


@pytest.mark.parametrize(
    ("name", "place"), [("time-run-n-float16", 1), ("time-float32", 0), ("memory", 2), ("memory-n", 2)]
)
def test_a_figure_is_found_by_its_name_or_by_enough_of_its_words(name, place):
    assert find(DRAWN, name) is DRAWN[place]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("time", "several figures fit 'time': time-run-n-float32, time-run-n-float16"),
        ("tim", "no figure 'tim'; have: card, time-run-n-float32, time-run-n-float16, memory-run-n-float32"),
    ],
)
def test_a_name_that_fits_none_or_many_lists_the_choices(name, words):
    with pytest.raises(ValueError, match="figure") as caught:
        find(DRAWN, name)
    assert str(caught.value) == words


def test_numbers_are_values_with_their_unit_in_the_heading():
    rows = (("=evil", units.plain(64.0), units.seconds(1.2345e-3)), ("b", units.plain(128.0), units.ABSENT))
    text = numbers(figure("f", ("implementation", "n", "time"), rows))
    assert list(csv.reader(io.StringIO(text))) == [
        ["implementation", "n", "time (s)"],
        ["'=evil", "64", "0.0012345"],
        ["b", "128", ""],
    ]


def test_a_figure_is_written_in_every_format_and_no_other(run):
    assert picture([run], "time-sequence-length", form="svg", theme="dark").startswith(b"<svg ")
    assert picture([run], "time-sequence-length", form="png")[:4] == b"\x89PNG"
    table = list(csv.DictReader(io.StringIO(picture([run], "time-sequence-length", form="csv").decode())))
    assert len(table) == 7 * 13
    assert all(float(row["time (s)"]) > 0 for row in table)
    with pytest.raises(ValueError, match="'pdf'; have: svg, png, csv"):
        picture([run], "time-sequence-length", form="pdf")


def test_a_card_says_the_answer_over_the_main_figure(run):
    card = picture([run], "card", form="svg").decode()
    assert "Yes: the counted operations of all 7 implementations" in card
    assert "Synthetic CPU, 2 cores" in card
    assert ">tokens n<" in card
