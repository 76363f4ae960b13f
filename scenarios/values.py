"""Values of an axis as they are typed: which forms are read, and which sizes there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.ties import read_tie

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenarios.scenario import Value

# Axes whose values count something that a tensor has at least one of.
SIZES = frozenset(
    {
        "n",
        "n_q",
        "n_k",
        "d",
        "d_v",
        "heads",
        "kv_heads",
        "batch",
        "width",
        "query_size",
        "key_size",
        "value_size",
        "window",
    }
)
# A tensor's size is a number of 63 bits.
SIZE_AT_MOST = 2**63 - 1
# No sweep has as many values; a typing error may.
VALUES_AT_MOST = 10_000
FORMS = "n=512,1024 or n[pow2]=9:13 or n=64:256:64 or n_q=n/2"


def read_axis(text: str) -> tuple[str, list[Value]]:
    """Read `n=512,1024`, `n[pow2]=9:13` (2^9 to 2^13), `n=64:256:64` (first:last:step) or `n_q=n/2`.

    Raises ValueError.
    """
    name, equals, values = text.partition("=")
    name, bracket, form = name.partition("[")
    parsed: list[Value] = []
    try:
        if bracket and form == "pow2]":
            parsed = [2**power for power in _range(values) if 0 <= power < SIZE_AT_MOST.bit_length()]
            if len(parsed) < len(_range(values)):
                parsed = []
        elif ":" in values and not bracket:
            parsed = list(_range(values))
        elif equals and not bracket and read_tie(values):
            parsed = [values]
        elif equals and not bracket:
            parsed = [_value(part) for part in values.split(",")]
    except (ValueError, TypeError):
        parsed = []
    if not parsed:
        raise ValueError(f"axis {text!r} must read {FORMS}")
    return name, parsed


def _range(text: str) -> range:
    first, last, *rest = (int(part) for part in text.split(":"))
    (step,) = rest or (1,)
    found = range(first, last + (1 if step > 0 else -1), step)
    if len(found[: VALUES_AT_MOST + 1]) > VALUES_AT_MOST:
        raise ValueError(f"more than {VALUES_AT_MOST} values")
    return found


def _value(text: str) -> Value:
    words: dict[str, Value] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        if text.isidentifier():
            return text
        raise


def size_mistakes(name: str, values: Sequence[Value]) -> list[str]:
    """Say of each value of a size that is none why not; other axes are left to their problem."""
    if name not in SIZES or (len(values) == 1 and read_tie(values[0])):
        return []
    return [
        f"{name} = {value!r} is no size: a whole number of at least 1 is needed"
        for value in values
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= SIZE_AT_MOST
    ]
