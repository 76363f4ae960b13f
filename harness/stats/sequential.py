"""Wald's sequential test: trials are made until they tell which of two probabilities of success they have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def decide(
    outcomes: Sequence[bool], *, innocent: float, guilty: float, false_alarms: float, misses: float
) -> bool | None:
    """Tell whether trials succeed with the probability of the guilty (True) or of the innocent, None to go on.

    `innocent` < `guilty` are the two probabilities; `false_alarms` and `misses` how often either may be mistaken (Wald
    1945, The sequential probability ratio test).
    """
    evidence = 0.0
    for succeeded in outcomes:
        evidence += math.log(guilty / innocent if succeeded else (1 - guilty) / (1 - innocent))
        if evidence >= math.log((1 - misses) / false_alarms):
            return True
        if evidence <= math.log(misses / (1 - false_alarms)):
            return False
    return None
