"""A worker of the engine as it is, but for the process that it starts for each order."""

from __future__ import annotations

from harness.cluster import attempts, serving
from tests.support import stand_in_child

if __name__ == "__main__":
    attempts.CHILD = stand_in_child.__name__
    serving.main()
