"""Orders of summation: what a plain implementation errs by, where an output is too small to tell from one call.

The largest and the mean error of a few elements are a matter of luck, and one lucky reference is a bar that no honest
kernel clears. The same sums added up in several orders show what is usual.
"""

from __future__ import annotations

import torch

# Over this many elements the largest of normal errors scatters by a tenth or so, and one order is enough.
ELEMENTS_FOR_A_MAXIMUM = 2**15
ORDERS_AT_MOST = 8


def orders_for(elements: int) -> int:
    """Return how many orders of summation an output of so many elements needs."""
    return max(1, min(ORDERS_AT_MOST, ELEMENTS_FOR_A_MAXIMUM // elements))


def worst(tried: list[torch.Tensor], *, exact: torch.Tensor) -> torch.Tensor:
    """Keep, element by element, the value that errs most."""
    stacked = torch.stack(tried)
    chosen = (stacked - exact).abs().argmax(0, keepdim=True)
    return stacked.gather(0, chosen).squeeze(0)
