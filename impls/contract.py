"""The contract: what an implementation declares, and what a problem offers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


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
    """State where an implementation runs: devices, dtypes, features, optional packages, and what its calls run.

    One that `writes_mask` writes it out where lengths, a window or shapes need it: as booleans, and in the dtype. Where
    it `writes_triangle`, a square's causal mask is written too, in float32. One `untried` here was written from
    documentation: no run of it is stored. `faults` are kinds of inputs on which it is known to be wrong, each with the
    reason: they are not asked of it. One that `compiles` makes a kernel for each shape, in seconds: the battery meets
    it on few shapes unless all are asked for.
    """

    devices: tuple[str, ...]
    dtypes: tuple[str, ...]
    supports: frozenset[str]
    requires: tuple[str, ...] = ()
    expects: Expected = Expected()
    writes_mask: bool = False
    untried: bool = False
    writes_triangle: bool = False
    faults: Mapping[str, str] = field(default_factory=dict)
    compiles: bool = False


@dataclass(frozen=True)
class Row:
    """What a query row is to who says what bytes it takes: so many output features, keys, and bytes a number.

    A call has so many `matrices` of scores, one for each head of each batch element, with so many `queries` each;
    `masked` where any score is hidden.
    """

    width: float
    keys: float
    queries: float
    matrices: int = 1
    itemsize: int = 4
    device: str = "cpu"
    masked: bool = False


@dataclass(frozen=True)
class Implementation:
    """Hold a registered function with its limits as data.

    `score_buffers` is how many buffers of n_q x n_k elements a forward call needs beside inputs and outputs, as the
    planner's estimate, by dtype if some are computed in a wider one; 0 for O(n) memory. One that fills masked scores
    has `masked_buffers` more where there is a mask, which it holds as booleans; `changed_buffers` come where scores are
    capped or biased. `row_bytes` is what a query row takes beside that, a number or a function of a `Row`.
    `call_seconds_per_row` is its fixed dispatch cost per query row on a CPU.
    `fixes` are axes that it sets in every point it gets, where a problem has several right answers: which one it gives.
    `within` makes the context that its calls run in, such as the choice of a backend; it is entered once around many.
    Of one that is `approximate`, such as quantised attention, errors are data and no reason to refuse it.
    One `on_request` is measured and checked only where it is asked for by name. `load` imports what it needs, once a
    process before its first call. Of one `outside_torch`, memory and threads are a library's own, which torch's
    allocator and thread count say nothing of.
    `options` are further keyword arguments of the function, each with values worth a try beside its default; in a
    variant some are `chosen`, which a function for `row_bytes` gets too.
    """

    problem: str
    name: str
    function: Callable[..., Any]
    limits: tuple[Limits, ...]
    prepare: Callable[..., Callable[..., Any]] | None = None
    deterministic: bool = True
    score_buffers: float | Mapping[str, float] = 0.0
    masked_buffers: float = 0.0
    changed_buffers: float = 0.0
    row_bytes: float | Callable[..., float] = 0.0
    call_seconds_per_row: float = 0.0
    fixes: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    within: Callable[[], AbstractContextManager[Any]] | None = None
    approximate: bool = False
    on_request: bool = False
    load: Callable[[], object] | None = None
    outside_torch: bool = False
    options: Mapping[str, tuple[int | float | str, ...]] = field(default_factory=dict)
    chosen: Mapping[str, int | float | str] = field(default_factory=dict)

    def bytes_of_row(self, row: Row) -> float:
        """Return what a query row takes beside score buffers, with the chosen options."""
        return self.row_bytes(row, **self.chosen) if callable(self.row_bytes) else self.row_bytes

    @property
    def within_name(self) -> str:
        """Name the context as it would be written, empty without one."""
        if self.within is None:
            return ""
        if not isinstance(self.within, functools.partial):
            return str(getattr(self.within, "__qualname__", type(self.within).__name__))
        given = [*map(str, self.within.args), *(f"{name}={value}" for name, value in self.within.keywords.items())]
        return f"{getattr(self.within.func, '__qualname__', self.within.func)}({', '.join(given)})"

    def entered(self) -> AbstractContextManager[Any]:
        """Return a new context for calls, one that does nothing where none was declared."""
        return nullcontext() if self.within is None else self.within()

    def buffers(self, dtype: str) -> float:
        """Return the score buffers of a dtype."""
        return self.score_buffers.get(dtype, 0.0) if isinstance(self.score_buffers, Mapping) else self.score_buffers

    def limits_on(self, device: str) -> Limits | None:
        """Return the limits that hold on a device type, or None if it does not run."""
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
    `phases` splits the forward operations by named step. `required` is what no way of computing the call can do
    without, where that is less than `operations`. `mask_elements` are those of a mask beyond a square's triangle,
    `triangle_elements` those of a square that is masked so alone, `bias_elements` what is added to scores; where scores
    are `changed`, they are capped or biased. `matrices` are those of scores, one for each head of each batch element.
    """

    operations: int
    attended: int
    score_elements: int
    query_rows: int
    input_bytes: int
    output_bytes: int
    ideal_bytes: int
    phases: Mapping[str, int]
    required: int | None = None
    mask_elements: int = 0
    triangle_elements: int = 0
    bias_elements: int = 0
    changed: bool = False
    matrices: int = 1


@dataclass(frozen=True)
class Scatter:
    """How far chance moves each row of an output, each a float64 tensor over rows.

    Of the sum of a row's squared deviations from its mean: `variance` is the expectation, `square` bounds the expected
    square, and `most` bounds the sum itself.
    """

    variance: torch.Tensor
    square: torch.Tensor
    most: torch.Tensor


@dataclass(frozen=True)
class Witness:
    """Hold what defines right, each a float64 tensor on the CPU.

    `oracle` is exact to float64; `reference` is what a plain implementation in the case's own dtype gives, the oracle
    itself where that is float64 and nothing is random; `bound` is an elementwise bound on the error that an honest
    kernel commits. `flush` is the error that flushing numbers below the smallest normal one to zero may cost.
    `is_random` where chance (dropout) moves answers by more than rounding does, so that the reference's error says
    something in float64 too; `scatter` is how far, where it is known.
    """

    oracle: torch.Tensor
    reference: torch.Tensor
    bound: torch.Tensor
    flush: float = 0.0
    is_random: bool = False
    scatter: Scatter | None = None


@dataclass(frozen=True)
class Output:
    """Describe one tensor that a call returns; `row_axis` is the axis that `sample_rows` indexes."""

    name: str
    shape: tuple[int, ...]
    row_axis: int


# How an upstream gradient lies in memory: in order; as a transposed view; with its last axis outermost; as a part of a
# wider tensor; one for all along the first axis, as a mean over it hands in; one number seen everywhere, as a sum's is.
Upstream = Literal["dense", "strided", "columns", "sliced", "shared", "expanded"]


@dataclass(frozen=True)
class Probe:
    """Name one small adversarial case: a point, and the kind of values that its inputs get.

    `quick` probes alone are run where little time is given. `upstream` is how the gradient handed in lies in memory.
    `needs` are features that its kind asks for beside the point's. Where `spoils_row`, its kind puts NaN into a row of
    the first tensor: that row of the output is not finite, the others are what they were. Where it
    `scatters`, many calls are made forward, and how far chance moves their results is checked.
    """

    name: str
    point: Mapping[str, Any]
    kind: str = "normal"
    quick: bool = False
    upstream: Upstream = "dense"
    needs: frozenset[str] = frozenset()
    spoils_row: bool = False
    scatters: bool = False

    @property
    def length(self) -> int:
        """Return the greatest of n, n_q and n_k, and of lengths that are listed."""
        listed = self.point.get("lengths")
        sizes = [self.point[name] for name in ("n", "n_q", "n_k") if name in self.point]
        return max(map(int, sizes + (listed if isinstance(listed, list) else [])), default=0)


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
