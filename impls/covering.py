"""Covering arrays: few combinations of options in which every pair of values, or every t of them, occurs together.

Kuhn, Kacker and Lei, NIST SP 800-142: most faults take one or two options to show.
"""

from __future__ import annotations

import itertools
import random
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
    # Sets have another order in every process.
    missing = sorted(wanted(options, strength=strength, more=more), key=lambda held: sorted(map(repr, held)))
    rows = []
    while missing:
        candidates = [_row(options, missing, generator) for _ in range(CANDIDATES)]
        best = max(candidates, key=lambda row: sum(held <= row.items() for held in missing))
        missing = [held for held in missing if not held <= best.items()]
        rows.append(best)
    return rows


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
    options: Mapping[str, Sequence[Any]], missing: list[frozenset[Setting]], generator: random.Random
) -> dict[str, Any]:
    """Start with a missing combination, then give each option the value that most missing ones still allow for."""
    row = dict(generator.choice(missing))
    left = [name for name in options if name not in row]
    generator.shuffle(left)
    for name in left:
        known = set(row.items())
        gains = {
            value: sum((name, value) in held and held - {(name, value)} <= known for held in missing)
            for value in generator.sample(list(options[name]), len(options[name]))
        }
        row[name] = max(gains, key=gains.__getitem__)
    return {name: row[name] for name in options}
