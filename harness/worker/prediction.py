"""Before a case runs: what there is, what each case will cost, and why one will not run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness.instruments import timing
from harness.machine import processor
from harness.protocol.messages import (
    CasePrediction,
    Describe,
    Described,
    DescribedImplementation,
    Predict,
    Predicted,
)
from harness.records import Prediction
from harness.worker.workbench import dtype_of
from impls import registry
from impls.contract import Row

if TYPE_CHECKING:
    from harness.records import Case, Status
    from harness.worker.workbench import Workbench
    from impls.contract import Cost, Implementation, Limits

# Share of the matrix-product rate that attention is expected to reach, for predicting time only.
EXPECTED_SHARE = 0.4
# Passes over a materialised score matrix: write, scale, softmax twice, read.
SCORE_PASSES = 6
# Dispatch cost of one call, in seconds.
CALL_SECONDS = 2e-5
# A row that takes a CPU 15 us of dispatch takes a GPU's host four launches and their operators: 30 to 40 us.
LAUNCHED_ROW = 2.5
# Backward of a materialising implementation keeps the weights and needs two gradients of their size.
BACKWARD_BUFFERS = 2.0
# PyTorch's math backend writes a causal mask in float32, whatever the inputs are.
TRIANGLE_BYTES = 4


def describe(bench: Workbench, _: Describe) -> Described:
    """List implementations by problem with limits on this device, and why one is unavailable."""
    listed = [_described(entry, bench) for entry in bench.registry.entries.values()]
    listed += [
        DescribedImplementation(
            problem=missing.problem, name=missing.name, available=False, reason=missing.reason, source=missing.source
        )
        for missing in bench.registry.unavailable.values()
    ]
    name = bench.modelled.name if bench.modelled else device_name(bench.device)
    return Described(device_name=name, implementations=listed, threads=torch.get_num_threads())


def _described(entry: Implementation, bench: Workbench) -> DescribedImplementation:
    limits = entry.limits_on(bench.device.type)
    reason = _lack_of_packages(bench, limits) if limits else _elsewhere(entry)
    return DescribedImplementation(
        problem=entry.problem,
        name=entry.name,
        available=not reason,
        reason=reason,
        elsewhere=limits is None,
        dtypes=list(limits.dtypes) if limits else [],
        supports=sorted(limits.supports) if limits else [],
        deterministic=entry.deterministic,
        approximate=entry.approximate,
        on_request=entry.on_request,
        untried=limits.untried if limits else all(elsewhere.untried for elsewhere in entry.limits),
        compiles=limits is not None and limits.compiles,
        source=entry.source,
        digest=bench.registry.digests.get((entry.problem, entry.name), ""),
    )


def _elsewhere(entry: Implementation) -> str:
    return f"runs on {', '.join(device for limits in entry.limits for device in limits.devices)} only"


def _lack_of_packages(bench: Workbench, limits: Limits) -> str:
    """Say what an implementation lacks here; what the machine of a modelled device has is not known."""
    if bench.modelled:
        return ""
    missing = missing_packages(limits)
    return f"needs {', '.join(missing)}, which can't be imported" if missing else ""


def predict(bench: Workbench, request: Predict) -> Predicted:
    """Predict operations, bytes and seconds of each case, or why it will not run."""
    return Predicted(predictions=[_predicted(bench, case) for case in request.cases])


def _predicted(bench: Workbench, case: Case) -> CasePrediction:
    unavailable = bench.registry.unavailable.get((case.problem, case.implementation))
    if unavailable is not None:
        return CasePrediction(skip="unavailable", reason=unavailable.reason)
    try:
        subject = bench.subject(case)
    except ValueError as error:
        return CasePrediction(skip="unsupported", reason=f"not a point of {case.problem}: {error}")
    free = bench.free_bytes()
    try:
        cost = subject.cost()
        prediction = _prediction(bench, case, cost, free=free)
    # A point may be too large even to count its pairs, or for a float to hold what they take.
    except (RuntimeError, MemoryError, OverflowError) as error:
        reason = f"too large to plan: {str(error).splitlines()[0][:200]}"
        return CasePrediction(skip="predicted_oom", reason=reason)
    needed = subject.problem.features(subject.point, direction=case.direction)
    skip, reason = _skip(bench, case, needed, prediction, cost, free=free)
    return CasePrediction(skip=skip, reason=reason, predicted=prediction)


def _skip(
    bench: Workbench, case: Case, needed: frozenset[str], prediction: Prediction, cost: Cost, *, free: int
) -> tuple[Status | None, str]:
    """Say with which status a case is skipped and why; None if it will run."""
    entry = registry.get(case.problem, case.implementation)
    limits = entry.limits_on(bench.device.type)
    if limits is None:
        return "unsupported", _elsewhere(entry)
    if missing := _lack_of_packages(bench, limits):
        return "unavailable", missing
    if case.dtype not in limits.dtypes:
        return "unsupported", f"takes {', '.join(limits.dtypes)}, not {case.dtype}"
    lacks = sorted(needed - limits.supports)
    if lacks:
        return "unsupported", f"lacks {', '.join(lacks)}"
    return _too_much(bench, entry, prediction, cost, free=free)


def _too_much(
    bench: Workbench, entry: Implementation, prediction: Prediction, cost: Cost, *, free: int
) -> tuple[Status | None, str]:
    """Say that a case needs more memory than there is, or more launches than a run has time for."""
    rows, rows_at_most = cost.query_rows, bench.policy.run.launched_rows_at_most
    if bench.device.type == "cuda" and entry.call_seconds_per_row and rows > rows_at_most:
        call = _row_seconds(bench, entry) * rows
        return (
            "predicted_slow",
            f"{rows:,} rows > {rows_at_most:,}: launched one by one, {call:.1f} s per call",
        )
    share = bench.policy.memory.share
    needs = prediction.resident_bytes + prediction.extra_bytes
    if needs > share * free:
        return "predicted_oom", f"{prediction.arithmetic} = {needs:,} B > {share:.0%} of {free:,} B free"
    return None, ""


def _prediction(bench: Workbench, case: Case, cost: Cost, *, free: int) -> Prediction:
    entry = registry.get(case.problem, case.implementation)
    itemsize = dtype_of(case).itemsize
    buffers = _buffers(entry, case, cost)
    mask = _mask_bytes(entry, entry.limits_on(bench.device.type), cost, itemsize=itemsize)
    rows = int(entry.bytes_of_row(_row(cost, itemsize=itemsize, device=bench.device.type)) * cost.query_rows)
    extra = int(buffers * cost.score_elements * itemsize) + mask + rows
    resident = cost.input_bytes + cost.output_bytes
    if case.direction != "forward":
        resident += cost.input_bytes + 2 * cost.output_bytes
    seconds = cost.operations / (EXPECTED_SHARE * _rate(bench, case.dtype))
    seconds += _row_seconds(bench, entry) * cost.query_rows + CALL_SECONDS
    if buffers:
        seconds += SCORE_PASSES * cost.score_elements * itemsize / (4 * _rate(bench, "bytes"))
    return Prediction(
        operations=cost.operations,
        extra_bytes=extra,
        resident_bytes=resident,
        seconds=seconds,
        limit_bytes=int(bench.policy.memory.share * free),
        arithmetic=f"{buffers:g} score buffers x {cost.score_elements:,} x {itemsize} B"
        + (f" + {mask:,} B mask" if mask else "")
        + (f" + {rows:,} B for rows" if rows else "")
        + f" + {resident:,} B tensors",
    )


def _row(cost: Cost, *, itemsize: int, device: str) -> Row:
    """Return what a query row of a call is."""
    return Row(
        width=cost.output_bytes / itemsize / cost.query_rows,
        keys=cost.score_elements / cost.query_rows,
        queries=cost.query_rows / cost.matrices,
        matrices=cost.matrices,
        itemsize=itemsize,
        device=device,
        masked=bool(cost.mask_elements or cost.triangle_elements),
    )


def _buffers(entry: Implementation, case: Case, cost: Cost) -> float:
    """Return how many buffers of scores a call holds at once."""
    buffers = entry.buffers(case.dtype)
    if not buffers:
        return 0.0
    buffers += entry.masked_buffers if cost.mask_elements or cost.triangle_elements else 0.0
    buffers += entry.changed_buffers if cost.changed else 0.0
    return buffers if case.direction == "forward" else buffers + BACKWARD_BUFFERS


def _mask_bytes(entry: Implementation, limits: Limits | None, cost: Cost, *, itemsize: int) -> int:
    """Return what a written mask takes: booleans, and the numbers that a kernel is handed in their place.

    Where there is a bias too, numbers are written for each head, beside the booleans and their inverse.
    """
    if limits is None or not limits.writes_mask:
        return cost.mask_elements + cost.triangle_elements if entry.masked_buffers else 0
    triangle = cost.triangle_elements * TRIANGLE_BYTES if limits.writes_triangle else 0
    if cost.bias_elements and cost.mask_elements:
        return triangle + cost.bias_elements * itemsize + 2 * cost.mask_elements
    return triangle + cost.mask_elements * (1 + itemsize)


def _row_seconds(bench: Workbench, entry: Implementation) -> float:
    """Return what an implementation spends on each row beside its operations: on a GPU it launches several kernels."""
    return entry.call_seconds_per_row * (LAUNCHED_ROW if bench.device.type == "cuda" else 1.0)


def _rate(bench: Workbench, kind: str) -> float:
    """Return a quick estimate of FLOP/s of a dtype, or of B/s for "bytes", measured once."""
    if kind not in bench.rates:
        bench.rates[kind] = quick_rate(kind, bench.device)
    return bench.rates[kind]


def quick_rate(kind: str, device: torch.device) -> float:
    """Estimate FLOP/s of a dtype (or B/s for "bytes") in some milliseconds, for predicting time only."""
    # 256 keeps a dtype without a fast path (float16 on many CPUs) within tens of milliseconds.
    size = 256 if device.type == "cpu" else 4096
    clock = timing.clock_for(device, cold=False)
    if kind == "bytes":
        source = torch.zeros(2**24, dtype=torch.uint8, device=device)
        target = torch.empty_like(source)
        return 2 * source.nbytes / min(clock.block(lambda: target.copy_(source), 1).seconds for _ in range(4))
    matrix = torch.ones(size, size, dtype=getattr(torch, kind), device=device)
    return 2 * size**3 / min(clock.block(lambda: matrix @ matrix, 1).seconds for _ in range(4))


def missing_packages(limits: Limits) -> list[str]:
    """List the optional packages of an implementation that this interpreter doesn't have."""
    return [name for name in limits.requires if not _is_there(name)]


def _is_there(name: str) -> bool:
    """Tell whether a module could be imported, by name alone: parents of a dotted one are not imported either."""
    import importlib.machinery
    import importlib.util

    top, *parts = name.split(".")
    spec = importlib.util.find_spec(top)
    for part in parts:
        if spec is None or spec.submodule_search_locations is None:
            return False
        spec = importlib.machinery.PathFinder.find_spec(f"{spec.name}.{part}", list(spec.submodule_search_locations))
    return spec is not None


def device_name(device: torch.device) -> str:
    """Return the device's marketing name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return processor.cpu_model() or "CPU"
