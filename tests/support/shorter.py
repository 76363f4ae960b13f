"""A lesson that takes seconds: few sizes, short rounds. For tests of how it is called, not of what it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness import policy
from scenarios import tutorial

if TYPE_CHECKING:
    from collections.abc import Callable

    from scenarios.scenario import Scenario

# So many scenarios, of each so many sizes, and trainings from so many seeds.
SCENARIOS, SIZES, SEEDS = 1, 2, 2
# The text of a program's line that makes its lesson short.
LINE = "from tests.support import shorter; shorter.shorten(setattr)"


def shorten(put: Callable[[Any, str, Any], object]) -> None:
    """Put a short lesson in the place of the whole, by `setattr` or a fixture's."""
    from harness.lesson import systems

    timing = policy.LESSON.timing.model_copy(update={"case_seconds": 0.02})
    run = policy.LESSON.run.model_copy(update={"ceiling_seconds": 0.3, "ceiling_again_seconds": 0.1})
    put(policy, "LESSON", policy.LESSON.model_copy(update={"timing": timing, "run": run}))
    put(tutorial, "LESSON", tuple(map(_shortened, tutorial.LESSON[:SCENARIOS])))
    put(systems, "SEEDS", SEEDS)


def _shortened(scenario: Scenario) -> Scenario:
    axes = [axis.model_copy(update={"values": axis.values[:SIZES]}) for axis in scenario.axes]
    return scenario.model_copy(update={"axes": axes})
