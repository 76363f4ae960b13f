"""Options that an implementation declares: each value that is chosen makes a variant, `online:block=64`."""

from __future__ import annotations

import fnmatch
import functools
import inspect
import itertools
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from impls.contract import Implementation

# What stands behind the name of an implementation where options of it are chosen.
CHOSEN = re.compile(r":\w+=[\w.+-]+(,\w+=[\w.+-]+)*")
# More combinations of values than this nobody measures.
VARIANTS_AT_MOST = 100

Choice = int | float | str


def variant_name(name: str, chosen: Mapping[str, Choice]) -> str:
    """Name a variant: `online:block=64`, options in alphabetical order."""
    return f"{name}:" + ",".join(f"{option}={chosen[option]}" for option in sorted(chosen))


def default_name(name: str) -> str:
    """Return the name of an implementation without what is chosen of its options."""
    return CHOSEN.sub("", name)


def matches(name: str, pattern: str) -> bool:
    """Tell whether a pattern names an implementation; a variant is named by one that has a colon alone."""
    return fnmatch.fnmatchcase(name, pattern) and (":" in pattern or default_name(name) == name)


def options_of(name: str, names: Iterable[str]) -> list[str]:
    """Return what variants of an implementation choose one at a time, as an axis is written: `online.block=64,256`."""
    found: dict[str, list[str]] = {}
    for variant in names:
        if default_name(variant) == name and variant != name and "," not in variant:
            option, _, value = variant.removeprefix(f"{name}:").partition("=")
            found.setdefault(option, []).append(value)
    return [f"{name}.{option}={','.join(values)}" for option, values in found.items()]


def variants(entry: Implementation) -> list[Implementation]:
    """Return an implementation under each combination of the values that it declares, the default's own left out."""
    untold = [[(option, None), *((option, value) for value in values)] for option, values in entry.options.items()]
    found = []
    for combination in itertools.product(*untold):
        chosen = {option: value for option, value in combination if value is not None}
        if chosen:
            found.append(_variant(entry, chosen))
    return found


def _variant(entry: Implementation, chosen: dict[str, Choice]) -> Implementation:
    prepare = entry.prepare
    return replace(
        entry,
        name=variant_name(entry.name, chosen),
        function=functools.partial(entry.function, **chosen),
        prepare=None if prepare is None else functools.partial(prepare, **chosen),
        options={},
        chosen=chosen,
        on_request=True,
    )


def checked(
    options: Mapping[str, Iterable[Choice]], *, of: str, takers: Iterable[Callable[..., object] | None]
) -> dict[str, tuple[Choice, ...]]:
    """Return declared options with their values. Raises ValueError for what no name can hold or no call takes."""
    kept = {option: tuple(values) for option, values in options.items()}
    for option, values in kept.items():
        wrong = [value for value in values if not CHOSEN.fullmatch(f":{option}={value}")]
        if wrong or not values or len(set(values)) < len(values):
            raise ValueError(f"option {option!r} of {of!r} needs distinct values of letters and digits, not {values!r}")
        for taker in takers:
            if taker is not None and not _takes(taker, option):
                raise ValueError(f"option {option!r} of {of!r} is no argument of {getattr(taker, '__name__', taker)}")
    if math.prod(len(values) + 1 for values in kept.values()) > VARIANTS_AT_MOST:
        raise ValueError(f"options of {of!r} have more than {VARIANTS_AT_MOST} combinations")
    return kept


def _takes(function: Callable[..., object], option: str) -> bool:
    parameters = inspect.signature(function).parameters
    return option in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())
