"""Lessons and turns that take seconds: few sizes, short rounds, few processes.

For tests of how they are called and what is done with what they find, not of how well they find it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness import policy
from scenarios import tutorial
from tests.support.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from scenarios.scenario import Scenario

# So many scenarios, of each so many sizes, and trainings from so many seeds.
SCENARIOS, SIZES, SEEDS = 1, 2, 2
# Pairs of processes of two sides that take turns: the fewest that have a spread.
PAIRS = 2
# The text of a program's line that makes its lesson and turns short, and the program that is then as ours.
LINE = "from tests.support import forked, shorter; shorter.shorten(setattr)"
# Each side of a pair starts several workers, which are forked of one that its interpreter ran.
FORKED = "sys.platform == 'linux' and forked.fork_workers(setattr, forked.Sources(only=None))"
PROGRAM = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {LINE}; {FORKED}; from attnbench import main; main()"


def shorten(put: Callable[[Any, str, Any], object]) -> None:
    """Put a short lesson and short turns in the place of the whole, by `setattr` or a fixture's."""
    from harness.lesson import systems
    from harness.runner.pairing import sides

    timing = policy.LESSON.timing.model_copy(update={"case_seconds": 0.02})
    run = policy.LESSON.run.model_copy(update={"ceiling_seconds": 0.3, "ceiling_again_seconds": 0.1})
    put(policy, "LESSON", policy.LESSON.model_copy(update={"timing": timing, "run": run}))
    put(tutorial, "LESSON", tuple(map(_shortened, tutorial.LESSON[:SCENARIOS])))
    put(systems, "SEEDS", SEEDS)
    put(sides, "PROCESSES", dict.fromkeys(sides.PROCESSES, PAIRS))


def _shortened(scenario: Scenario) -> Scenario:
    axes = [axis.model_copy(update={"values": axis.values[:SIZES]}) for axis in scenario.axes]
    return scenario.model_copy(update={"axes": axes})
