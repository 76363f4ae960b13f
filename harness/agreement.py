"""The gate: one call of an implementation held against the float64 oracle at its own shape."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from harness.records import Agreement, Check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.policy import GatePolicy
    from impls.contract import Inputs, Output, Witness
    from impls.subject import Subject

    # Given the seed of inputs, the inputs and sampled rows, what defines right for each output.
    Witnesses = Callable[[int, Any, torch.Tensor], tuple[Witness, ...]]

# Freed blocks of NaN that a kernel's `empty` output is likely to get; several, as scratch buffers take some.
POISON_BLOCKS = 4
# Poisoning more than this costs seconds and reaches no further: large blocks come from the system, zeroed.
POISON_BYTES = 2**28


@dataclass(frozen=True)
class Answer:
    """What one call gave: outputs, gradients (None where the graph doesn't reach), and copies of the inputs before."""

    inputs: Any
    before: tuple[torch.Tensor, ...]
    outputs: tuple[Any, ...]
    upstream: torch.Tensor | None
    gradients: tuple[torch.Tensor | None, ...]


def agree(
    subject: Subject,
    *,
    seed: int,
    policy: GatePolicy,
    kind: str = "normal",
    second_seed: int | None = None,
    witnesses: Witnesses | None = None,
) -> Agreement:
    """Draw inputs, call once, and compare outputs (and gradients, unless forward) on sampled rows with the oracle.

    With `second_seed`, inputs of that seed are then written over the first ones in place, forward, and the comparison
    is made again: results kept by the address of inputs are wrong there. `witnesses` replaces the problem's `witness`,
    for callers that hold several implementations against the same inputs. Exceptions of the implementation propagate.
    """
    inputs = subject.inputs(seed=seed, kind=kind)
    first = _hold(subject, inputs, seed=seed, policy=policy, witnesses=witnesses)
    if second_seed is None or subject.direction != "forward" or not first.passed:
        return first
    for tensor, other in zip(inputs.tensors, subject.inputs(seed=second_seed, kind=kind).tensors, strict=True):
        tensor.copy_(other)
    second = _hold(subject, inputs, seed=second_seed, policy=policy, witnesses=witnesses)
    checks = [check.model_copy(update={"name": f"inputs changed in place, {check.name}"}) for check in second.checks]
    decisive = second if not second.passed or (second.ratio or 0.0) > (first.ratio or 0.0) else first
    return decisive.model_copy(update={"passed": second.passed, "checks": [*first.checks, *checks]})


def _hold(subject: Subject, inputs: Inputs, *, seed: int, policy: GatePolicy, witnesses: Witnesses | None) -> Agreement:
    """Hold one call on given inputs against the oracle; `seed` is that of the inputs."""
    rows = subject.problem.sample_rows(subject.point, count=policy.rows, seed=seed)
    answer = call(subject, inputs, rows=rows, seed=seed)
    mistakes = contract_mistakes(subject, answer)
    if mistakes:
        return Agreement(passed=False, checks=[contract_check(mistakes)], rows_checked=0)
    known = subject.problem.witness if witnesses is None else functools.partial(witnesses, seed)
    return compare_with_oracle(subject, answer, rows=rows, policy=policy, witnesses=known)


def call(subject: Subject, inputs: Inputs, *, rows: torch.Tensor, seed: int) -> Answer:
    """Make one call on poisoned memory; unless forward, take gradients for a random upstream on the sampled rows."""
    described = subject.problem.outputs(subject.point)
    before = tuple(tensor.detach().clone() for tensor in inputs.tensors)
    first = inputs.tensors[0]
    if subject.direction == "forward":
        with torch.no_grad():
            function = subject.bind(inputs)
            poison(described, like=first)
            outputs = _as_tuple(function())
        return Answer(inputs, before, outputs, None, ())
    for tensor in inputs.differentiable:
        tensor.requires_grad_(True)
    function = subject.bind(inputs)
    poison(described, like=first)
    outputs = _as_tuple(function())
    upstream = upstream_gradient(described[0], rows=rows, like=first, seed=seed)
    reached = isinstance(outputs[0], torch.Tensor) and outputs[0].requires_grad and outputs[0].shape == upstream.shape
    none: tuple[torch.Tensor | None, ...] = (None,) * len(inputs.differentiable)
    gradients = torch.autograd.grad(outputs[0], inputs.differentiable, upstream, allow_unused=True) if reached else none
    return Answer(inputs, before, outputs, upstream, gradients)


def poison(described: Sequence[Output], *, like: torch.Tensor) -> None:
    """Fill memory that the outputs will probably get with NaN, so that an element never written shows."""
    for output in described:
        if math.prod(output.shape) * like.element_size() * POISON_BLOCKS > POISON_BYTES:
            continue
        blocks = [torch.empty(output.shape, dtype=like.dtype, device=like.device) for _ in range(POISON_BLOCKS)]
        for block in blocks:
            block.fill_(math.nan)


def upstream_gradient(output: Output, *, rows: torch.Tensor, like: torch.Tensor, seed: int) -> torch.Tensor:
    """Draw a standard normal gradient for the sampled rows of an output, zero elsewhere."""
    shape = list(output.shape)
    shape[output.row_axis] = len(rows)
    generator = torch.Generator().manual_seed(seed + 1)
    values = torch.randn(shape, generator=generator).to(device=like.device, dtype=like.dtype)
    whole = torch.zeros(output.shape, dtype=like.dtype, device=like.device)
    return whole.index_copy_(output.row_axis, rows.to(like.device), values)


def contract_mistakes(subject: Subject, answer: Answer) -> list[str]:
    """List what breaks the contract whatever the numbers: type, shape, dtype, device, aliasing, inputs, finiteness."""
    described = subject.problem.outputs(subject.point)
    if len(answer.outputs) != len(described):
        return [f"returned {len(answer.outputs)} values, not {len(described)}"]
    like = answer.inputs.tensors[0]
    mistakes = [
        mistake
        for value, output in zip(answer.outputs, described, strict=True)
        for mistake in _tensor_mistakes(output.name, value, shape=output.shape, like=like)
    ]
    if mistakes:
        return mistakes
    storages = {tensor.untyped_storage().data_ptr() for tensor in answer.inputs.tensors}
    mistakes = [
        f"{output.name} shares memory with an input"
        for value, output in zip(answer.outputs, described, strict=True)
        if value.untyped_storage().data_ptr() in storages
    ]
    mistakes += [
        f"input {position} was changed"
        for position, (tensor, kept) in enumerate(zip(answer.inputs.tensors, answer.before, strict=True))
        if not torch.equal(tensor.detach(), kept)
    ]
    if subject.direction != "forward":
        for name, gradient, tensor in zip(
            answer.inputs.names, answer.gradients, answer.inputs.differentiable, strict=True
        ):
            mistakes += _tensor_mistakes(f"d{name}", gradient, shape=tuple(tensor.shape), like=tensor)
    return mistakes


def _tensor_mistakes(name: str, value: Any, *, shape: tuple[int, ...], like: torch.Tensor) -> list[str]:
    if type(value) is not torch.Tensor:
        return [f"{name} is {type(value).__name__}, not torch.Tensor"]
    wrong = [
        f"{name} has {what} {got}, not {wanted}"
        for what, got, wanted in (
            ("shape", tuple(value.shape), shape),
            ("dtype", value.dtype, like.dtype),
            ("device", value.device, like.device),
            ("layout", value.layout, like.layout),
        )
        if got != wanted
    ]
    if not wrong and not bool(value.isfinite().all()):
        # The oracle is finite wherever inputs are, and a row with nothing to attend to is zero.
        count = int((~value.isfinite()).sum())
        wrong.append(f"{name} has {count} elements that are not finite, first at {_first_index(~value.isfinite())}")
    return wrong


def precision_note(tensor: torch.Tensor) -> str:
    """Name TF32 where float32 products may run in it: the reference does too, and the bound allows for it."""
    tf32 = tensor.is_cuda and tensor.dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest"
    return "float32 products may run in TF32" if tf32 else ""


def contract_check(mistakes: Sequence[str], *, note: str = "") -> Check:
    """Record the contract's check, with all its mistakes, else a note."""
    return Check(
        name="contract", error=None, budget=None, ratio=None, passed=not mistakes, detail="; ".join(mistakes) or note
    )


@dataclass(frozen=True)
class Comparison:
    """A tensor with what it should be; `factor` is how often the reference's error it may commit."""

    name: str
    value: torch.Tensor
    witness: Witness
    factor: float


def compare_with_oracle(
    subject: Subject,
    answer: Answer,
    *,
    rows: torch.Tensor,
    policy: GatePolicy,
    witnesses: Callable[[Any, torch.Tensor], tuple[Witness, ...]],
) -> Agreement:
    """Compare an answer's numbers with oracle, reference and bound; the witness is computed after the call."""
    described = subject.problem.outputs(subject.point)
    checks, worst = [contract_check([], note=precision_note(answer.inputs.tensors[0]))], []
    with torch.no_grad():
        output_witnesses = witnesses(answer.inputs, rows)
    for value, output, witness in zip(answer.outputs, described, output_witnesses, strict=True):
        sampled = value.detach().index_select(output.row_axis, rows.to(value.device))
        factor = policy.factor * chance(effective_rows(witness), policy)
        compared, element = compare(Comparison(output.name, sampled, witness, factor), policy)
        checks += compared
        worst.append((_name_rows(element, rows, axis=output.row_axis), compared))
    if answer.upstream is not None:
        upstream = answer.upstream.index_select(described[0].row_axis, rows.to(answer.upstream.device))
        gradient_witnesses = subject.problem.gradient_witness(answer.inputs, rows, upstream)
        # One row's error reaches every key, so the gradient that fewest rows carry tells how many are independent.
        rows_at_least = min(effective_rows(witness) for witness in gradient_witnesses)
        factor = policy.gradient_factor * chance(rows_at_least, policy)
        for name, gradient, witness in zip(answer.inputs.names, answer.gradients, gradient_witnesses, strict=True):
            assert gradient is not None
            compared, element = compare(Comparison(f"d{name}", gradient.detach(), witness, factor), policy)
            checks += compared
            worst.append((element, compared))
    element, _ = max(worst, key=lambda pair: _largest(pair[1]))
    return Agreement(
        passed=all(check.passed for check in checks), checks=checks, worst=str(element), rows_checked=len(rows)
    )


def describe(agreement: Agreement) -> str:
    """Say in a line which check failed worst, by how much, and where."""
    failed = [check for check in agreement.checks if not check.passed]
    worst = max(failed, key=lambda check: math.inf if check.ratio is None else check.ratio)
    if worst.ratio is None:
        return f"{worst.name}: {worst.detail}"
    return f"{worst.name}: {worst.ratio:.3g} times its budget; {worst.detail}"


def effective_rows(witness: Witness) -> float:
    """Return how many rows carry the reference's error: all where it is even, one where one row has all of it.

    Rows of the same answer err alike, and count once.
    """
    error = (witness.reference - witness.oracle).square()
    features = error.shape[-1] if error.ndim > 1 else 1
    _, group = torch.unique(witness.oracle.float().reshape(-1, features), dim=0, return_inverse=True)
    of_rows = torch.zeros(int(group.max()) + 1, dtype=error.dtype)
    of_rows.index_add_(0, group, error.reshape(-1, features).sum(-1))
    total = float(of_rows.square().sum())
    return float(of_rows.sum()) ** 2 / total if total > 0.0 else 1.0


def chance(rows: float, policy: GatePolicy) -> float:
    """Return the factor by which two honest root mean square errors over so many rows may differ by chance."""
    return math.exp(policy.deviations / math.sqrt(rows))


@dataclass(frozen=True)
class Element:
    """Where a tensor errs most against its bound, and by what."""

    name: str
    index: tuple[int, ...]
    got: float
    wanted: float

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(map(str, self.index))}] is {self.got:.6g}, not {self.wanted:.6g}"


def compare(given: Comparison, policy: GatePolicy) -> tuple[list[Check], Element]:
    """Check largest error, root mean square error and elementwise bound; float64 by the bound alone.

    Largest and root mean square error may be `factor` times what a plain implementation of the same dtype commits,
    plus what rounding the exact answer costs. Where the oracle itself is no more precise than the kernel (float64),
    that reference says nothing, unless both answer at random.
    """
    name, oracle = given.name, given.witness.oracle
    got = given.value.cpu().double()
    error = (got - oracle).abs()
    ratio = torch.where(error == 0.0, 0.0, error / given.witness.bound)
    worst = _element(name, got, oracle, ratio)
    checks = [_check(f"{name} bound", error=_largest_of(ratio), budget=1.0, detail=str(worst))]
    if given.value.dtype == torch.float64 and not given.witness.is_random:
        return checks, worst
    unit, flush = torch.finfo(given.value.dtype).eps / 2, given.witness.flush
    plain = (given.witness.reference - oracle).abs()
    loudest = _element(name, got, oracle, error)
    for norm, size, units, where in (
        ("max", _largest_of, policy.units_max, str(loudest)),
        ("rms", _rms, policy.units_rms, str(loudest)),
    ):
        budget = given.factor * size(plain) + units * unit * size(oracle.abs()) + flush
        checks.append(_check(f"{name} {norm}", error=size(error), budget=budget, detail=where))
    return checks, worst if _largest(checks[:1]) >= _largest(checks[1:]) else loudest


def _check(name: str, *, error: float, budget: float, detail: str = "") -> Check:
    finite = math.isfinite(error)
    ratio = error / budget if finite and budget > 0.0 else (0.0 if error == 0.0 else None)
    passed = finite and error <= budget
    return Check(
        name=name,
        error=error if finite else None,
        budget=budget,
        ratio=ratio,
        passed=passed,
        detail="" if passed else detail,
    )


def _element(name: str, got: torch.Tensor, wanted: torch.Tensor, ratio: torch.Tensor) -> Element:
    flat = int(ratio.nan_to_num(nan=math.inf).argmax())
    index = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), ratio.shape))
    return Element(name, index, got.flatten()[flat].item(), wanted.flatten()[flat].item())


def _name_rows(worst: Element, rows: torch.Tensor, *, axis: int) -> Element:
    """Replace a sampled row's position by its index in the whole output."""
    index = tuple(int(rows[i]) if position == axis else i for position, i in enumerate(worst.index))
    return Element(worst.name, index, worst.got, worst.wanted)


def _first_index(flags: torch.Tensor) -> tuple[int, ...]:
    return tuple(int(i) for i in flags.nonzero()[0])


def _largest(checks: Sequence[Check]) -> float:
    return max(math.inf if check.ratio is None else check.ratio for check in checks)


def _largest_of(values: torch.Tensor) -> float:
    return float(values.max())


def _rms(values: torch.Tensor) -> float:
    return float(values.square().mean().sqrt())


def _as_tuple(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)
