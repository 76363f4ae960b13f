"""Covering arrays: few combinations of options in which every pair of values, or every t of them, occurs together.

Kuhn, Kacker and Lei, NIST SP 800-142: most faults take one or two options to show.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Rows tried for each that is kept: more give a shorter array, and take as much longer.
CANDIDATES = 6

Setting = tuple[str, Any]


def cover(
    options: Mapping[str, Sequence[Any]], *, strength: int = 2, more: Iterable[tuple[str, ...]] = (), seed: int = 0
) -> list[dict[str, Any]]:
    """Return rows, each with a value of every option, that hold every `strength` values of different options together.

    `more` names further options of which all combinations occur. Greedy and drawn by `seed`: the same at every call.
    """
    generator = random.Random(seed)
    # A set of settings is a number with a bit for each, so that a comparison is one operation.
    bits = {setting: 1 << place for place, setting in enumerate(_settings(options))}
    # Sets have another order in every process.
    ordered = sorted(wanted(options, strength=strength, more=more), key=lambda held: sorted(map(repr, held)))
    missing = [sum(bits[setting] for setting in held) for held in ordered]
    rows = []
    while missing:
        candidates = [_row(options, bits, missing, generator) for _ in range(CANDIDATES)]
        best = max(candidates, key=lambda row: sum(held & row == held for held in missing))
        missing = [held for held in missing if held & best != held]
        rows.append({name: value for (name, value), bit in bits.items() if best & bit})
    return rows


def _settings(options: Mapping[str, Sequence[Any]]) -> list[Setting]:
    return [(name, value) for name, values in options.items() for value in values]


def wanted(
    options: Mapping[str, Sequence[Any]], *, strength: int, more: Iterable[tuple[str, ...]] = ()
) -> set[frozenset[Setting]]:
    """List what has to occur together."""
    return {
        frozenset(zip(names, values, strict=True))
        for names in (*itertools.combinations(options, strength), *more)
        for values in itertools.product(*(options[name] for name in names))
    }


def _row(
    options: Mapping[str, Sequence[Any]], bits: Mapping[Setting, int], missing: list[int], generator: random.Random
) -> int:
    """Start with a missing combination, then give each option the value that most missing ones still allow for."""
    row = generator.choice(missing)
    left = [name for name, values in options.items() if not any(row & bits[name, value] for value in values)]
    generator.shuffle(left)
    for name in left:
        own = {bits[name, value] for value in options[name]}
        # A missing combination that lacks nothing but this option's value counts for it.
        lacks = [held & ~row for held in missing]
        counts = Counter(lack for lack in lacks if lack in own)
        tried = generator.sample(list(options[name]), len(options[name]))
        row |= bits[name, max(tried, key=lambda value: counts[bits[name, value]])]
    return row
