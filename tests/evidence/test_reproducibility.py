"""Two runs compared: scatter, shift and agreement are those that were put in, and a page keeps its other text."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.evidence import reproducibility
from tests.evidence.reproducibility import Known, agreement, compare, put
from tests.support import runs


def session(seed, *, noise=0.03, shift=0.0, half=0.06):
    rng = np.random.default_rng(seed)
    found = {}
    for number in range(400):
        seconds = 1e-3 * math.exp(rng.normal(shift, noise))
        found[str(number)] = Known(seconds, seconds * math.exp(-half), seconds * math.exp(half))
    return found


def test_scatter_shift_and_agreement_are_what_was_put_in():
    found = agreement([session(1), session(2, shift=0.05)])
    assert found.apart == pytest.approx(0.03 * math.sqrt(2), rel=0.1)
    assert found.shift == pytest.approx(0.05, abs=0.01)
    assert found.half_width == pytest.approx(0.06)
    assert (found.within_5, found.within_10) == (0.0, 1.0)
    assert found.agree < agreement([session(1), session(2)]).agree
    assert agreement([session(1), session(2)]).agree == pytest.approx(0.95, abs=0.03)


def test_a_tool_without_intervals_agrees_with_nothing():
    bare = {name: Known(one.seconds) for name, one in session(1).items()}
    assert agreement([bare, bare]).agree is None
    with pytest.raises(ValueError, match="two of each"):
        agreement([bare])


def test_wall_time_falls_with_the_square_of_scatter():
    found = agreement([session(1), session(2)])
    assert found.seconds_for(0.01, spent=1.0) == pytest.approx((found.apart / math.sqrt(2) / 0.01) ** 2)


def test_run_directories_are_compared(tmp_path):
    first = runs.make_run(tmp_path / "a", sweeps=("sequence-length",))
    second = runs.make_run(tmp_path / "b", sweeps=("sequence-length",), speed=0.9)
    *_, row = compare([first, second])
    assert "| attnbench |" in row
    assert "10.5%" in row


def test_a_page_keeps_what_is_not_the_section():
    once = put("# Page\n\ntext\n", "first\n")
    again = put(once, "second\n")
    assert "first" in once
    assert again == once.replace("first", "second")
    assert reproducibility.BEGIN in again
    assert reproducibility.keep(once, "# New\n") == put("# New\n", "first\n")
    assert reproducibility.keep("# Page\n", "# New\n") == "# New\n"
