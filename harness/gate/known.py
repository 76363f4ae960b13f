"""What is known to be right: witnesses of inputs that the gate has met, worked out once for all who are asked them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from impls.contract import Witness

# A battery's witnesses take 60 MiB a dtype.
BYTES_AT_MOST = 2**27
# However large: the re-check of a point's implementations goes back and forth between two inputs.
WITNESSES_KEPT = 2


class Known:
    """The witnesses of the inputs met last, up to a number of bytes."""

    def __init__(self, *, bytes_at_most: int = BYTES_AT_MOST) -> None:
        self._bytes_at_most = bytes_at_most
        self._bytes = 0
        self._witnesses: dict[Hashable, tuple[Witness, ...]] = {}

    def of(self, inputs: Hashable, work_out: Callable[[], tuple[Witness, ...]]) -> tuple[Witness, ...]:
        """Return the witnesses of inputs, named by what they were drawn from; `work_out` gives those not known.

        The gate asks only after it has seen that the implementation left its inputs as they were.
        """
        if inputs not in self._witnesses:
            worked_out = work_out()
            self._bytes += _size(worked_out)
            while len(self._witnesses) >= WITNESSES_KEPT and self._bytes > self._bytes_at_most:
                self._bytes -= _size(self._witnesses.pop(next(iter(self._witnesses))))
            self._witnesses[inputs] = worked_out
        return self._witnesses[inputs]


def _size(witnesses: tuple[Witness, ...]) -> int:
    return sum(tensor.nbytes for found in witnesses for tensor in (found.oracle, found.reference, found.bound))
