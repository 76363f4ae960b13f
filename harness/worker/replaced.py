"""Functions of torch, of Python and of the harness, and torch's operators: watched, and put back where replaced."""

from __future__ import annotations

import builtins
import gc
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

# Whose functions are called by the harness, or by implementations beside the one that replaces them.
OWNERS = (
    *(torch, torch.Tensor, torch.autograd, torch.linalg, torch.nn.functional),
    *(torch.nn.Module, torch.nn.Linear, torch.nn.MultiheadAttention, math, builtins),
)
# What of the harness holds calls against the oracle.
ROOMS = ("harness.gate.", "impls.numerics.")
# Where torch's own functions come from.
_TORCH = f"{Path(torch.__file__).parent}/"
# What a tensor's class inherits, and a function set on the class itself would hide.
_INHERITED = frozenset(dir(torch.Tensor)) - vars(torch.Tensor).keys()


class Functions:
    """The functions of the owners as they were."""

    def __init__(self) -> None:
        rooms = [module for name, module in sorted(sys.modules.items()) if name.startswith(ROOMS)]
        self._kept: list[tuple[Any, dict[str, Any]]] = [(owner, _functions(owner)) for owner in (*OWNERS, *rooms)]

    def put_back(self) -> list[str]:
        """Put back what was replaced since; return the names."""
        replaced = []
        for owner, kept in self._kept:
            # A comparison of all takes a tenth of the time that one by one does.
            if kept.items() <= vars(owner).items():
                continue
            now = vars(owner)
            for name in [name for name, function in kept.items() if _is_replaced(now.get(name), function)]:
                setattr(owner, name, kept[name])
                replaced.append(f"{owner.__name__}.{name}")
        for name in sorted(_INHERITED & vars(torch.Tensor).keys()):
            delattr(torch.Tensor, name)
            replaced.append(f"Tensor.{name}")
        return replaced


class Operators:
    """The kernels that Python had registered for torch's own operators.

    What `torch.library` lists is watched. Whoever goes to the dispatcher past it is not noticed: nothing else there is
    cheap enough to look at after each call.
    """

    def __init__(self) -> None:
        self._kept = set(torch.library._impls)  # noqa: SLF001

    def put_back(self) -> list[str]:
        """Take away what was registered since, but by torch itself; return the operators."""
        listed = torch.library._impls  # noqa: SLF001
        if listed <= self._kept:
            return []
        replaced = {entry for entry in listed - self._kept if entry.startswith("aten/") and not _is_torchs(entry)}
        if replaced:
            # Frozen objects are not among those that the collector lists.
            gc.unfreeze()
            for found in gc.get_objects():
                if type(found) is torch.library.Library and found._op_impls & replaced:  # noqa: SLF001
                    found._destroy()  # type: ignore[no-untyped-call]  # noqa: SLF001
        self._kept |= listed
        parts = (entry.split("/") for entry in sorted(replaced))
        return [f"operator aten::{operator} for {key or 'every device'}" for _, operator, key in parts]


def _is_torchs(entry: str) -> bool:
    """Tell whether a kernel, as torch.library names it, was registered by torch's own code, not through its functions.

    The dispatcher keeps the place of each registration.
    """
    _, operator, key = entry.split("/")
    begins = tuple(f"{key or 'CompositeImplicitAutograd'}{kind}: registered at " for kind in ("", "[alias]"))
    lines = torch._C._dispatch_dump(f"aten::{operator}").splitlines()  # noqa: SLF001
    places = [line.partition(": registered at ")[2] for line in lines if line.startswith(begins)]
    return all(place.startswith(_TORCH) and not place.startswith(f"{_TORCH}library.py") for place in places)


def _is_replaced(now: Any, function: Any) -> bool:
    """Tell whether another stands for a function; torch wraps some of its own once its compiler is imported.

    Whose a function is its code tells: its name and module are copied by whoever wraps another.
    """
    if now is function:
        return False
    code = getattr(now, "__code__", None)
    return code is None or not code.co_filename.startswith(_TORCH)


def _functions(owner: Any) -> dict[str, Any]:
    return dict(_named(owner))


def _named(owner: Any) -> Iterator[tuple[str, Any]]:
    for name, value in vars(owner).items():
        # Python sets some of these as it goes; a program may rebind `print` and its like. Classes that stand for a
        # default, such as torch.Storage, follow it.
        is_left = owner is builtins and (name.startswith("__") or name in {"print", "input", "open"})
        if callable(value) and not isinstance(value, type) and not is_left:
            yield name, value
