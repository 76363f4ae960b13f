"""The exact degree of an implementation's growth, from counts at small sizes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.instruments.counting import OperationCount, Sweep, count
from harness.instruments.directions import measured_call
from harness.records import AxisCounts, Degrees
from harness.scaling.exact import degree
from impls.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from impls.contract import Implementation, Problem


# Fewer operations than this share of what the problem's model says that products need: something hides them.
SEEN_AT_LEAST = 0.1
# Lengths of 6 x 128 are multiples of common block sizes, so that blocked kernels count a polynomial; wider blocks get
# the next step.
LENGTH_STEPS = (128, 256, 512)
SIZES = 6
HEAD_DIMS = tuple(range(16, 16 * (SIZES + 1), 16))
# From two on: an axis of size one takes other paths (no copies), which would break the polynomial.
REPEATS = tuple(range(2, SIZES + 2))
# These heads divide this width into multiples of 16 a head, of at most 256, as devices' fused kernels want them.
# Equispaced, and features per head that every fused kernel takes: multiples of 8 up to 128.
HEADS_AT_WIDTH = (4, 8, 12, 16)
WIDTH = 384
WIDTHS = tuple(range(32, 32 * (SIZES + 1), 32))
# The length while other axes are swept: short, for implementations that dispatch operators for each row.
LENGTH = 16
# The length at which masked products are compared with all.
LENGTH_CAUSAL = 128


def degrees(
    problem: Problem,
    implementation: Implementation,
    *,
    device: torch.device,
    dtype: torch.dtype,
    direction: str = "forward",
) -> Degrees:
    """Count an implementation at equispaced small sizes along each axis, and take the exact degree of the counts.

    Where the counter can't see the work, or the call refuses the small sizes, `how` is declared and `reason` says
    why; degrees are then absent.
    """
    prober = _Prober(problem, implementation, device, dtype, direction)
    reason = ""
    axes: dict[str, AxisCounts] = {}
    modelled = counted = None
    causal_share = None
    try:
        for axis, (base, sizes, ties) in prober.sweeps().items():
            axes[axis] = prober.along(axis, base=base, sizes=sizes, ties=ties)
        if "heads" in prober.problem.AXES:
            axes["n"] = prober.along_length()
            counted, modelled = prober.against_model()
            causal_share = prober.causal_share()
    except _RefusedError:
        # It would refuse at other sizes too, and may compile a kernel for each.
        pass
    # An implementation may refuse or fail in its own way; what matters here is only that it was not counted.
    except (RuntimeError, ValueError, TypeError, NotImplementedError, AttributeError) as error:
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}".rstrip(": ")
    reason = reason or "; ".join(sorted(prober.opaque))
    return Degrees(
        problem=implementation.problem,
        implementation=implementation.name,
        direction=direction,
        device=device.type,
        how="declared" if reason else "counted",
        reason=reason,
        axes={} if reason else axes,
        counted_products=counted,
        modelled_products=modelled,
        causal_share=causal_share,
    )


class _RefusedError(Exception):
    """A call does not run while it is counted."""


@dataclass
class _Prober:
    """Count calls of one implementation at points of its problem."""

    problem: Problem
    implementation: Implementation
    device: torch.device
    dtype: torch.dtype
    direction: str
    opaque: set[str] = field(default_factory=set)

    def subject(self, point: Mapping[str, Any]) -> Subject:
        """Return the implementation at a point."""
        parsed = self.problem.parse({**point, **self.implementation.fixes})
        return Subject(self.problem, self.implementation, parsed, self.dtype, self.device, self.direction)

    def at(self, point: Mapping[str, Any]) -> OperationCount:
        """Count the call at a point."""
        subject = self.subject(point)
        with measured_call(subject, subject.inputs(seed=0)) as measured:
            counted = count(measured.call)
        self.opaque |= set(counted.opaque)
        if counted.refused:
            raise _RefusedError
        return counted

    @property
    def base(self) -> dict[str, int]:
        """Return the point around which axes are swept, of the axes that the problem has."""
        point = {"n": LENGTH, "d": HEAD_DIMS[0], "width": WIDTHS[0], "heads": 2, "batch": 2}
        return {name: size for name, size in point.items() if name in self.problem.AXES}

    def sweeps(self) -> dict[str, Sweep]:
        """Return the sweeps of every axis but n."""
        if "heads" not in self.problem.AXES:
            grown = tuple(LENGTH_STEPS[0] * size for size in range(1, SIZES + 1))
            return {axis: ({"n_q": LENGTH, "n_k": LENGTH}, grown, {}) for axis in ("n_q", "n_k")}
        base = self.base
        found: dict[str, Sweep] = {
            "d": (base, HEAD_DIMS, {}),
            "width": (base, WIDTHS, {}),
            "batch": (base, REPEATS, {}),
        }
        # Where there is a width, heads share it; else each head brings its own features.
        if "width" in base:
            found["heads at fixed width"] = ({**base, "width": WIDTH}, HEADS_AT_WIDTH, {})
        elif "heads" in base:
            found["heads"] = (base, REPEATS, {})
            found["heads at fixed width"] = (base, HEADS_AT_WIDTH, {"d": WIDTH})
            if self.direction == "forward":
                decode = {**{name: size for name, size in base.items() if name != "n"}, "n_q": 1}
                found["n_k"] = (decode, tuple(LENGTH_STEPS[0] * size for size in range(1, SIZES + 1)), {})
        else:
            lengths = tuple(LENGTH_STEPS[0] * size for size in range(1, SIZES + 1))
            found |= {"n_q": (base, lengths, {}), "n_k": (base, lengths, {})}
        return {axis: sweep for axis, sweep in found.items() if axis.split(" ")[0] in self.problem.AXES}

    def along(self, axis: str, *, base: Mapping[str, int], sizes: Sequence[int], ties: Mapping[str, int]) -> AxisCounts:
        """Count at each size of one axis, and take the degrees."""
        name = axis.split(" ", maxsplit=1)[0]
        counts = [
            self.at({**base, name: size, **{tied: number // size for tied, number in ties.items()}}) for size in sizes
        ]
        return AxisCounts(
            sizes=list(sizes),
            operations=[counted.operations for counted in counts],
            products=[counted.products for counted in counts],
            calls=[counted.calls for counted in counts],
            degree=degree([counted.operations for counted in counts]),
            products_degree=degree([counted.products for counted in counts]),
            calls_degree=degree([counted.calls for counted in counts]),
        )

    def along_length(self) -> AxisCounts:
        """Count along n with the first step of sizes that makes a polynomial, for kernels of any block size.

        What dispatches operators for each row has no blocks, and takes long: short lengths are tried first.
        """
        base = {name: 1 if name in {"heads", "batch"} else size for name, size in self.base.items()}
        steps = (LENGTH, *LENGTH_STEPS) if self.implementation.call_seconds_per_row else LENGTH_STEPS
        for step in steps:
            found = self.along("n", base=base, sizes=[step * size for size in range(1, SIZES + 1)], ties={})
            if found.degree is not None:
                break
        return found

    def against_model(self) -> tuple[int, int]:
        """Return the operations of products as counted, and as the problem's cost model has them."""
        cost = self.subject(self.base).cost()
        counted = self.at(self.base)
        if counted.operations < SEEN_AT_LEAST * cost.operations:
            self.opaque.add(f"{counted.operations} operations are seen of {cost.operations} that the products need")
        return counted.products, cost.operations

    def causal_share(self) -> float | None:
        """Return products under a causal mask over products without, None if causal isn't supported."""
        limits = self.implementation.limits_on(self.device.type)
        if "causal" not in self.problem.AXES or limits is None or "causal" not in limits.supports:
            return None
        base = {**self.base, "n": LENGTH_CAUSAL, "batch": 1}
        whole = self.at(base).products
        return self.at({**base, "causal": True}).products / whole if whole else None
