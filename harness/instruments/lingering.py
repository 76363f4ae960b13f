"""What a call leaves running: the processor time that its process uses after the call has returned."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# How long nothing is called. Threads that wait for more work in a loop are seen in it, and a run has room for it.
WAIT_SECONDS = 0.05
# Bound before any implementation is imported, so that none can replace them later.
_process_time = time.process_time
_sleep = time.sleep


def lingering_seconds(call: Callable[[], object]) -> float:
    """Return the processor seconds that the process uses in the 50 ms after a call, all of its threads together."""
    call()
    before = _process_time()
    _sleep(WAIT_SECONDS)
    return _process_time() - before
