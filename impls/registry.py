"""The registry: implementations by problem and name, and the problems themselves."""

from __future__ import annotations

import difflib
import functools
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack, cast

from impls.contract import Expected, Implementation, Limits
from impls.variants import checked, default_name, variants

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from impls.contract import Problem, Unavailable
    from impls.variants import Choice

DEVICES = ("cpu", "cuda", "mps")
DTYPES = ("float32", "float64", "bfloat16", "float16")
# What an implementation may lack; n_q != n_k and a custom scale are always supported by attention itself.
# Of attention: a sliding window, scores capped by tanh, a bias added to scores. They come as arguments of their own.
RARE = ("window", "softcap", "bias")
FEATURES = (
    *("causal", "valid_lens", "gqa", "d_v", "dead_rows", "backward"),
    # NaN in keys and values beyond the lengths stays there; finite padding must never leak.
    "dirty_padding",
    *RARE,
    # Of multi-head modules: dropout on the weights, queries from another source than keys, queries of another size than
    # the module's width, an odd number of heads.
    *("dropout", "cross_attention", "query_size", "odd_heads"),
)

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass
class Registry:
    """Collect implementations by problem and name; `digests` tell versions of their sources apart.

    `brought_by` has what was loaded when each was registered: a module, an entry point or a file.
    """

    entries: dict[tuple[str, str], Implementation] = field(default_factory=dict)
    unavailable: dict[tuple[str, str], Unavailable] = field(default_factory=dict)
    digests: dict[tuple[str, str], str] = field(default_factory=dict)
    loaded: set[str] = field(default_factory=set)
    brought_by: dict[tuple[str, str], str] = field(default_factory=dict)
    derivations: dict[str, list[Callable[[Implementation], Implementation]]] = field(default_factory=dict)

    def add(self, entry: Implementation) -> None:
        """Add an implementation, or further limits of the same function on other devices.

        Raises ValueError for a second registration of a name on the same device.
        """
        key = (entry.problem, entry.name)
        known = self.entries.get(key)
        if known is not None:
            taken = {device for limits in known.limits for device in limits.devices}
            wanted = {device for limits in entry.limits for device in limits.devices}
            if known.source != entry.source or known.function is not entry.function or taken & wanted:
                raise ValueError(
                    f"implementation {entry.name!r} of problem {entry.problem!r} is registered twice: "
                    f"in {known.source} and in {entry.source}"
                )
            entry = replace(known, limits=known.limits + entry.limits)
        self.entries[key] = entry
        for variant in variants(entry):
            self._put(variant)
        for derivation in self.derivations.get(entry.problem, ()):
            self._put(derivation(entry))

    def derive(self, problem: str, derivation: Callable[[Implementation], Implementation]) -> None:
        """Make an implementation of another problem from each one of `problem`, those registered later included."""
        self.derivations.setdefault(problem, []).append(derivation)
        for entry in [entry for entry in self.entries.values() if entry.problem == problem and not entry.chosen]:
            self._put(derivation(entry))

    def _put(self, entry: Implementation) -> None:
        self.entries[entry.problem, entry.name] = entry


REGISTRY = Registry()


class Further(TypedDict, total=False):
    """What few declare: costs of calls, and what is another library's: see `Implementation`, `Limits`."""

    score_buffers: float | Mapping[str, float]
    masked_buffers: float
    changed_buffers: float
    row_bytes: float | Callable[..., float]
    call_seconds_per_row: float
    writes_mask: bool
    on_request: bool
    load: Callable[[], object]
    outside_torch: bool
    untried: bool
    writes_triangle: bool
    faults: Mapping[str, str]
    compiles: bool
    options: Mapping[str, Iterable[Choice]]


def register(
    *,
    problem: str,
    name: str,
    devices: Iterable[str] = DEVICES,
    dtypes: Iterable[str] = DTYPES,
    supports: Iterable[str] = (),
    requires: Iterable[str] = (),
    expects: Iterable[str] | Expected = (),
    prepare: Callable[..., Callable[..., Any]] | None = None,
    deterministic: bool = True,
    approximate: bool = False,
    fixes: Mapping[str, Any] | None = None,
    within: Callable[[], AbstractContextManager[Any]] | None = None,
    **further: Unpack[Further],
) -> Callable[[Function], Function]:
    """Register the decorated function as an implementation of a problem.

    Decorators may be stacked, one per device, where limits differ by device. `requires` names optional packages
    by import name; `expects` are substrings of names of operators or kernels, one of which each call must run, or an
    `Expected`. `within` makes a context that is entered around calls, once for many, so that choosing a backend is no
    part of their time. What is `approximate` by intent is never refused for its numbers, and never a baseline. Raises
    ValueError for an unknown device, dtype or feature, for a duplicate name, and for one that no file can hold. What
    `faults` name, kinds of inputs with the reason why it is wrong there, is not asked of it. Of `options`, keyword
    arguments of the function with values worth a try, each value is a variant, as online:block=64.
    """
    _check_name(name)
    limits = Limits(
        devices=_known("device", devices, DEVICES),
        dtypes=_known("dtype", dtypes, DTYPES),
        supports=frozenset(_known("feature", supports, FEATURES)),
        requires=tuple(requires),
        expects=expects if isinstance(expects, Expected) else Expected(tuple(expects)),
        writes_mask=further.get("writes_mask", False),
        untried=further.get("untried", False),
        writes_triangle=further.get("writes_triangle", False),
        faults=dict(further.get("faults", {})),
        compiles=further.get("compiles", False),
    )

    def add(function: Function) -> Function:
        REGISTRY.add(
            Implementation(
                problem=problem,
                name=name,
                function=function,
                limits=(limits,),
                prepare=prepare,
                deterministic=deterministic,
                approximate=approximate,
                fixes=dict(fixes or {}),
                within=within,
                score_buffers=further.get("score_buffers", 0.0),
                call_seconds_per_row=further.get("call_seconds_per_row", 0.0),
                on_request=further.get("on_request", False),
                load=further.get("load"),
                outside_torch=further.get("outside_torch", False),
                masked_buffers=further.get("masked_buffers", 0.0),
                changed_buffers=further.get("changed_buffers", 0.0),
                row_bytes=further.get("row_bytes", 0.0),
                options=checked(further.get("options", {}), of=name, takers=(function, prepare)),
                source=function.__code__.co_filename if hasattr(function, "__code__") else function.__module__,
            )
        )
        return function

    return add


def problem_folders() -> list[Path]:
    """List the folders of impls/ that hold a problem."""
    return sorted(path.parent for path in Path(__file__).parent.glob("*/problem.py"))


# Asked for at every call, where a look into the folders takes as long as a small call.
@functools.cache
def problem(name: str) -> Problem:
    """Return a problem's module. Raises KeyError that names the choices."""
    known = [folder.name for folder in problem_folders()]
    if name not in known:
        raise KeyError(unknown("problem", name, known))
    return cast("Problem", importlib.import_module(f"impls.{name}.problem"))


def get(problem: str, name: str) -> Implementation:
    """Return an implementation. Raises KeyError that names near matches and the choices."""
    entry = REGISTRY.entries.get((problem, name))
    if entry is None:
        raise KeyError(unknown("implementation", name, names(problem)))
    return entry


def parse(entry: Implementation, point: Mapping[str, Any]) -> Any:
    """Validate a point with the axes that an implementation fixes. Raises ValueError as its problem does."""
    return problem(entry.problem).parse({**point, **entry.fixes})


def names(problem: str) -> list[str]:
    """List the names registered for a problem, in order of discovery, each without its variants."""
    return [name for (of, name), entry in REGISTRY.entries.items() if of == problem and not entry.chosen]


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is unknown, what was probably meant, and the choices."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return f"no {kind} {name!r}{hint} have: {', '.join(choices) or 'none'}"


def _check_name(name: str) -> None:
    if not name.strip():
        raise ValueError("an implementation needs a name")
    if default_name(name) != name:
        raise ValueError(f"implementation name {name!r} reads like {default_name(name)!r} with an option chosen")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"implementation name {name!r} has half a character (a lone surrogate)") from None


def _known(kind: str, given: Iterable[str], choices: tuple[str, ...]) -> tuple[str, ...]:
    values = (given,) if isinstance(given, str) else tuple(given)
    for value in values:
        if value not in choices:
            raise ValueError(unknown(kind, value, choices))
    return values
