"""The steps of a module, each run alone with an oracle of its own."""

from __future__ import annotations

from impls.multihead import _phases, _points
from impls.multihead import problem as multihead


def test_the_steps_that_a_point_may_name_are_those_that_have_an_oracle():
    assert tuple(_phases.PHASES) == _points.PHASES == tuple(multihead.phase_operations(multihead.parse({"n": 4})))
