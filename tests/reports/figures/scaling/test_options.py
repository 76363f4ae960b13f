"""An option that varies alone is drawn as categories, with what its values cost."""

from __future__ import annotations

import pytest

from reports.figures.scaling.options import CATEGORIES_AT_MOST, by_option
from tests.support import runs
from tests.support.drawn import BASE, colors_of, sweep_of, timed

COLORS = colors_of("batched", "loop")


def records(option, values, **more):
    return [
        timed(runs.ok_record(name, **{**BASE, "n": 64, option: value, **more}), seconds * (1 + number))
        for name, seconds in (("batched", 1e-3), ("loop", 5e-3))
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("option", "values", "names"),
    [
        ("causal", [False, True], ["False", "True"]),
        ("values", ["normal", "peaked", "denormal"], ["denormal", "normal", "peaked"]),
        ("scale", [0.0, 0.02, 1.0], ["0", "0.0200", "1"]),
    ],
)
def test_an_option_alone_is_drawn_as_categories(option, values, names):
    figure = by_option(sweep_of(records(option, values)), COLORS)
    assert figure.columns == ("implementation", option, "time")
    assert [row[1] for row in figure.rows if row[0] == "batched"] == names
    assert all(f">{name}<" in figure.svg for name in names)
    ratio = f"{len(values)}.00×"
    assert figure.finding.startswith(f"By {option}, ")
    assert ratio in figure.finding


def test_sizes_many_values_and_two_options_are_no_categories():
    assert by_option(sweep_of(records("causal", [False])), COLORS) is None
    several = [*records("causal", [False, True]), *records("causal", [False, True], scale=1.0)]
    assert by_option(sweep_of(several), COLORS) is None
    assert by_option(sweep_of(records("scale", [0.1 * n for n in range(CATEGORIES_AT_MOST + 1)])), COLORS) is None
    assert (
        by_option(sweep_of([*records("causal", [False, True]), *records("causal", [True], scale=1.0)]), COLORS) is None
    )
