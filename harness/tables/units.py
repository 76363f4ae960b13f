"""Units that tables of costs are written in: what `ms`, `GiB`, `TFLOP/s` or a bare `k` multiply a number by."""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# What a bare `k`, `M` or `G` counts by: powers of ten, or of two as lengths of sequences are written.
DECIMAL_THOUSAND, BINARY_THOUSAND = 1000, 1024
PREFIXES = {"k": 1, "M": 2, "G": 3, "T": 4, "P": 5}

SECONDS = {
    "ns": "1e-9",
    "nsec": "1e-9",
    "us": "1e-6",
    "usec": "1e-6",
    "μs": "1e-6",
    "μsec": "1e-6",
    "ms": "1e-3",
    "msec": "1e-3",
    "s": "1",
    "sec": "1",
    "secs": "1",
    "second": "1",
    "seconds": "1",
    "min": "60",
    "mins": "60",
    "minute": "60",
    "minutes": "60",
    "h": "3600",
    "hr": "3600",
    "hrs": "3600",
    "hour": "3600",
    "hours": "3600",
}
# Mb is written for megabytes far more often than for megabits, and an exponent is the same for both.
BYTES = ("B", "b", "byte", "bytes")
# A noun of a count leaves it a plain number, so that `512` and `4k tokens` go together.
COUNTS = ("tok", "toks", "token", "tokens", "param", "params", "")
# Other nouns that take a prefix. FLOPS is written for a count and for a rate, so each noun is a dimension of its own.
NOUNS = (
    *("FLOP", "FLOPs", "FLOPS", "FLOP/s", "FLOPs/s", "OP", "OPs", "OPS", "OP/s", "op/s", "ops", "MAC", "MACs"),
    *("tok/s", "tokens/s", "it/s", "samples/s", "Hz", "W", "J", "B/s", "bytes/s"),
)
DIMENSIONS = {**dict.fromkeys(BYTES, "bytes"), **{noun: noun for noun in NOUNS}, **dict.fromkeys(COUNTS, "")}
# A speed-up or a percentage is a number without a dimension.
PLAIN = {"x": "1", "×": "1", "%": "0.01"}
# Letters that stand for several units; a guess would be off by factors of sixty or a thousand.
AMBIGUOUS = {"m": "min, milli or M", "Ms": "ms or a million seconds"}


@dataclass(frozen=True)
class Unit:
    """Hold what a unit multiplies by, in which dimension, and how many powers of a thousand a bare prefix adds.

    `thousands` is 0 but for a bare `k`, `M`, `G` in front of nothing or of a count, where a thousand may be 1024.
    """

    name: str
    dimension: str
    factor: Decimal
    thousands: int = 0

    def scale(self, *, thousand: int) -> Decimal:
        """Return the whole factor, with a bare prefix counted by `thousand`."""
        return self.factor * Decimal(thousand) ** self.thousands


NO_UNIT, SECOND = Unit("", "", Decimal(1)), Unit("s", "seconds", Decimal(1))
NOTHING_DEFINED: Mapping[str, Decimal] = MappingProxyType({})


def find_unit(text: str, *, defined: Mapping[str, Decimal] = NOTHING_DEFINED) -> Unit | None:
    """Return the unit that a text names, in the spelling found in tables; None if there is none.

    `defined` maps names to factors and wins over what is known: {"KB": 1024}.
    """
    name = "".join(text.split())
    if name in defined:
        known = _known(name)
        return Unit(name, known.dimension if known else name, defined[name])
    found = _known(name)
    if found is not None or name in AMBIGUOUS or len(name) == 1:
        return found
    # Capitals come second: MS and Sec are times.
    return _known(name.lower()) or _known(name.upper())


def explain_unknown(text: str) -> str:
    """Say what is wrong with a unit that was not found."""
    if text in AMBIGUOUS:
        return f"the unit {text!r} may be {AMBIGUOUS[text]}"
    near = difflib.get_close_matches(text, (*SECONDS, *BYTES, *NOUNS, "KB", "MB", "GB", "KiB", "MiB", "GiB"), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{text!r} is no unit that is known{hint}"


@functools.lru_cache(maxsize=1024)
def _known(name: str) -> Unit | None:
    if name == "":
        return NO_UNIT
    if name in SECONDS:
        return Unit(name, "seconds", Decimal(SECONDS[name]))
    if name in PLAIN:
        return Unit(name, "", Decimal(PLAIN[name]))
    if name in DIMENSIONS:
        return Unit(name, DIMENSIONS[name], Decimal(1))
    candidates = (
        _prefixed(name, name.removesuffix(noun), dimension)
        for noun, dimension in DIMENSIONS.items()
        if name.endswith(noun)
    )
    return next((unit for unit in candidates if unit is not None), None)


def _prefixed(name: str, prefix: str, dimension: str) -> Unit | None:
    """Return the unit of a prefix before a dimension; Ki, Mi and Gi are always binary, k of bytes always decimal."""
    letter = {"K": "k"}.get(prefix[:1], prefix[:1])
    if letter not in PREFIXES or prefix[1:] not in {"", "i"}:
        return None
    power = PREFIXES[letter]
    if prefix[1:] == "i":
        return Unit(name, dimension, Decimal(BINARY_THOUSAND) ** power)
    if dimension == "":
        return Unit(name, dimension, Decimal(1), thousands=power)
    return Unit(name, dimension, Decimal(DECIMAL_THOUSAND) ** power)
