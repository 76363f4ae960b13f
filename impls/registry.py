"""The registry: what an implementation declares, and where implementations are found."""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from types import ModuleType

    import torch

ENTRY_POINT_GROUP = "attnbench.implementations"
# What `announce` is told before the import of a source: this, then the source.
IMPORTING = "import "
DEVICES = ("cpu", "cuda", "mps")
DTYPES = ("float32", "float64", "bfloat16", "float16")
# What an implementation may lack; n_q != n_k and a custom scale are always supported by attention itself.
FEATURES = (
    *("causal", "valid_lens", "gqa", "d_v", "dead_rows", "backward"),
    # Of multi-head modules: dropout on the weights, queries from another source than keys, queries of another size than
    # the module's width, an odd number of heads.
    *("dropout", "cross_attention", "query_size", "odd_heads"),
)

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Expected:
    """Substrings of lower-case names, one of which a call must have run; a call without any is a fallback.

    `names` are of operators or kernels. `kernels` are of kernels alone and decide wherever kernels were seen: what a
    fused operator runs, its kernel tells.
    """

    names: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """State where an implementation runs: devices, dtypes, features, optional packages, and what its calls run."""

    devices: tuple[str, ...]
    dtypes: tuple[str, ...]
    supports: frozenset[str]
    requires: tuple[str, ...] = ()
    expects: Expected = Expected()


@dataclass(frozen=True)
class Implementation:
    """Hold a registered function with its limits as data.

    `score_buffers` is how many buffers of n_q x n_k elements a forward call needs beside inputs and outputs, as the
    planner's estimate; 0 for O(n) memory. `call_seconds_per_row` is its fixed dispatch cost per query row.
    `fixes` are axes that it sets in every point it gets, where a problem has several right answers: which one it gives.
    """

    problem: str
    name: str
    function: Callable[..., Any]
    limits: tuple[Limits, ...]
    prepare: Callable[..., Callable[..., Any]] | None = None
    deterministic: bool = True
    score_buffers: float = 0.0
    call_seconds_per_row: float = 0.0
    fixes: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    def limits_on(self, device: str) -> Limits | None:
        """Return the limits that hold on a device type, or None where it does not run."""
        return next((limits for limits in self.limits if device in limits.devices), None)


@dataclass(frozen=True)
class Unavailable:
    """Name an implementation that could not be imported, with the reason."""

    problem: str
    name: str
    reason: str
    source: str = ""


@dataclass(frozen=True)
class Cost:
    """Count what one call must do, exactly, from its point alone.

    `operations` are floating-point operations of the products over attended pairs, `attended` the (query, key) pairs,
    `score_elements` batch * heads * n_q * n_k (or the problem's counterpart), bytes include each tensor once.
    `phases` splits the forward operations by named step.
    """

    operations: int
    attended: int
    score_elements: int
    query_rows: int
    input_bytes: int
    output_bytes: int
    ideal_bytes: int
    phases: Mapping[str, int]


@dataclass(frozen=True)
class Witness:
    """Hold what defines right, each a float64 tensor on the CPU.

    `oracle` is exact to float64; `reference` is what a plain implementation in the case's own dtype gives; `bound` is
    an elementwise bound on the error that an honest kernel commits. `flush` is the error that flushing numbers below
    the smallest normal one to zero may cost. `is_random` where chance (dropout) moves answers by more than rounding
    does, so that the reference's error says something in float64 too.
    """

    oracle: torch.Tensor
    reference: torch.Tensor
    bound: torch.Tensor
    flush: float = 0.0
    is_random: bool = False


@dataclass(frozen=True)
class Output:
    """Describe one tensor that a call returns; `row_axis` is the axis that `sample_rows` indexes."""

    name: str
    shape: tuple[int, ...]
    row_axis: int


@dataclass(frozen=True)
class Probe:
    """Name one small adversarial case: a point, and the kind of values that its inputs get.

    `quick` probes alone are run where little time is given.
    """

    name: str
    point: Mapping[str, Any]
    kind: str = "normal"
    quick: bool = False


class Inputs(Protocol):
    """The tensors of one call. `differentiable` are those that gradients are taken for, in the order of `names`."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def differentiable(self) -> tuple[torch.Tensor, ...]: ...
    @property
    def tensors(self) -> tuple[torch.Tensor, ...]: ...


class Problem(Protocol):
    """What a folder's `problem.py` offers; a point is a mapping from axis names to JSON values.

    `parse` raises ValueError that lists every mistake of a point at once. `inputs` draws the same values for the same
    seed; its `kind` is one that PROBES name. PROBES are the battery, REPEATED is small enough for many calls.
    `outputs` tells what a call returns: a tensor where it is one, else a tuple. `rows` are indices of query rows;
    `witness` gives one witness for each output, of those rows.
    `gradient_witness` takes a gradient of the first output's sampled rows, the others' being zero, and gives a witness
    for each differentiable input.
    """

    AXES: tuple[str, ...]
    PROBES: tuple[Probe, ...]
    REPEATED: Probe

    def parse(self, point: Mapping[str, Any]) -> Any: ...
    def features(self, point: Any, *, direction: str) -> frozenset[str]: ...
    def inputs(
        self, point: Any, *, dtype: torch.dtype, device: torch.device, seed: int, kind: str = "normal"
    ) -> Any: ...
    def outputs(self, point: Any) -> tuple[Output, ...]: ...
    def bind(self, implementation: Implementation, inputs: Any) -> Callable[[], Any]: ...
    def sample_rows(self, point: Any, *, count: int, seed: int) -> torch.Tensor: ...
    def witness(self, inputs: Any, rows: torch.Tensor) -> tuple[Witness, ...]: ...
    def gradient_witness(self, inputs: Any, rows: torch.Tensor, upstream: torch.Tensor) -> tuple[Witness, ...]: ...
    def cost(self, point: Any, *, itemsize: int, direction: str) -> Cost: ...


@dataclass
class Registry:
    """Collect implementations by problem and name."""

    entries: dict[tuple[str, str], Implementation] = field(default_factory=dict)
    unavailable: dict[tuple[str, str], Unavailable] = field(default_factory=dict)
    loaded: set[str] = field(default_factory=set)
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
        for derivation in self.derivations.get(entry.problem, ()):
            self._put(derivation(entry))

    def derive(self, problem: str, derivation: Callable[[Implementation], Implementation]) -> None:
        """Make an implementation of another problem from each one of `problem`, those registered later included."""
        self.derivations.setdefault(problem, []).append(derivation)
        for entry in [entry for entry in self.entries.values() if entry.problem == problem]:
            self._put(derivation(entry))

    def _put(self, entry: Implementation) -> None:
        self.entries[entry.problem, entry.name] = entry


REGISTRY = Registry()


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
    score_buffers: float = 0.0,
    call_seconds_per_row: float = 0.0,
    fixes: Mapping[str, Any] | None = None,
) -> Callable[[Function], Function]:
    """Register the decorated function as an implementation of a problem.

    Decorators may be stacked, one per device, where limits differ by device. `requires` names optional packages
    by import name; `expects` are substrings of names of operators or kernels, one of which each call must run, or an
    `Expected`. Raises ValueError for an unknown device, dtype or feature, and for a duplicate name.
    """
    limits = Limits(
        devices=_known("device", devices, DEVICES),
        dtypes=_known("dtype", dtypes, DTYPES),
        supports=frozenset(_known("feature", supports, FEATURES)),
        requires=tuple(requires),
        expects=expects if isinstance(expects, Expected) else Expected(tuple(expects)),
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
                score_buffers=score_buffers,
                call_seconds_per_row=call_seconds_per_row,
                fixes=dict(fixes or {}),
                source=function.__code__.co_filename if hasattr(function, "__code__") else function.__module__,
            )
        )
        return function

    return add


def discover(
    *,
    impl_files: Iterable[str | Path] = (),
    announce: Callable[[str], object] = lambda _: None,
    skip: Mapping[str, str] | None = None,
) -> Registry:
    """Find every implementation: the problem folders, installed entry points, then the given files.

    A file that fails to import leaves its implementations as `Unavailable` with the reason. Each source is loaded
    once a process. `announce` is told each source before it is imported; `skip` maps sources that are known to kill
    the process to the reason.
    """
    load = functools.partial(_load, announce=announce, skip=skip or {})
    for folder in problem_folders():
        for file in sorted(folder.glob("*.py")):
            if file.stem not in {"__init__", "problem"} and not file.stem.startswith("_"):
                module = f"impls.{folder.name}.{file.stem}"
                load(
                    module, problem=folder.name, file=file, importer=functools.partial(importlib.import_module, module)
                )
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        load(f"entry point {point.name}", problem="attention", file=None, importer=point.load, name=point.name)
    for impl_file in impl_files:
        path = Path(impl_file).resolve()
        load(str(path), problem="attention", file=path, importer=functools.partial(_import_file, path))
    return REGISTRY


def problem_folders() -> list[Path]:
    """List the folders of impls/ that hold a problem."""
    return sorted(path.parent for path in Path(__file__).parent.glob("*/problem.py"))


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
    """List the names registered for a problem, in order of discovery."""
    return [name for of, name in REGISTRY.entries if of == problem]


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is unknown, what was probably meant, and the choices."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return f"no {kind} {name!r}{hint} have: {', '.join(choices) or 'none'}"


def _known(kind: str, given: Iterable[str], choices: tuple[str, ...]) -> tuple[str, ...]:
    values = (given,) if isinstance(given, str) else tuple(given)
    for value in values:
        if value not in choices:
            raise ValueError(unknown(kind, value, choices))
    return values


def _load(
    key: str,
    *,
    problem: str,
    file: Path | None,
    importer: Callable[[], object],
    announce: Callable[[str], object],
    skip: Mapping[str, str],
    name: str | None = None,
) -> None:
    if key in REGISTRY.loaded:
        return
    REGISTRY.loaded.add(key)
    before = dict(REGISTRY.entries)
    try:
        announce(IMPORTING + key)
        (functools.partial(_refuse, skip[key]) if key in skip else importer)()
    except (KeyboardInterrupt, MemoryError):
        raise
    # A plugin may fail in any way, sys.exit included; the reason becomes data here.
    except BaseException as error:  # noqa: BLE001
        REGISTRY.entries.clear()
        REGISTRY.entries.update(before)
        reason = f"{type(error).__name__}: {error}".strip().rstrip(":")
        declared = _declared_names(file) if file else []
        fallback = name or (file.stem.replace("_", "-") if file else key)
        for of, missing in declared or [(problem, fallback)]:
            REGISTRY.unavailable[of, missing] = Unavailable(of, missing, reason, str(file or key))


def _refuse(reason: str) -> None:
    raise ImportError(reason)


def _declared_names(file: Path) -> list[tuple[str, str]]:
    """Read the (problem, name) pairs a file would have registered, from its syntax alone."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return []
    found: list[tuple[str, str]] = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "register"):
            continue
        literal = {
            word.arg: word.value.value
            for word in node.keywords
            if word.arg in {"problem", "name"} and isinstance(word.value, ast.Constant)
        }
        pair = (str(literal.get("problem", "attention")), str(literal.get("name", "")))
        if pair[1] and pair not in found:
            found.append(pair)
    return found


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    module_name = f"attnbench_file_{path.stem}_{abs(hash(str(path))):x}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module
