"""The roofline: the least time that measured ceilings allow a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.records import Ceiling
    from scenarios.scenario import Cache


def roofline_seconds(
    operations: int, ideal_bytes: int, ceilings: Iterable[Ceiling], dtype: str, *, cache: Cache = "hot"
) -> float | None:
    """Return the least time that the measured ceilings allow, None if one of them is missing.

    A working set that fits a cache is granted the bandwidth of that cache, unless the caches are `cold`.
    """
    known = list(ceilings)
    rate, bytes_a_second = matmul_rate(known, dtype), bandwidth(known, ideal_bytes, cache)
    if rate is None or bytes_a_second is None:
        return None
    return max(operations / rate, ideal_bytes / bytes_a_second)


def bandwidth(ceilings: Iterable[Ceiling], size: int, cache: Cache = "hot") -> float | None:
    """Return the measured bandwidth for a working set of so many bytes in B/s, None if none was measured.

    One that fits a cache is granted the bandwidth of that cache, unless the caches are `cold`.
    """
    return max(
        (
            ceiling.value
            for ceiling in ceilings
            if ceiling.unit == "B/s"
            and (ceiling.within_bytes is None or (cache == "hot" and size <= ceiling.within_bytes))
        ),
        default=None,
    )


# Dtypes of 16 bits, which many compute in float32: always where they have no fast path of their own.
WIDENED: frozenset[str] = frozenset({"bfloat16", "float16"})


def matmul_rate(ceilings: Iterable[Ceiling], dtype: str) -> float | None:
    """Return the measured matrix-product rate of a dtype in FLOP/s, None if it was not measured."""
    return next((found.value for found in ceilings if found.name == f"matmul {dtype}"), None)
