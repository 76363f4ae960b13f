"""One call of an implementation, and whether what it returned keeps the contract."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from harness.gate.errors import first_index
from harness.records import Check
from impls.numerics.precision import tf32_allowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from impls.contract import Inputs, Output, Upstream
    from impls.subject import Subject


# Freed blocks of NaN that a kernel's `empty` output is likely to get; several, as scratch buffers take some.
POISON_BLOCKS = 4
# Poisoning more than this costs seconds and reaches no further: large blocks come from the system, zeroed.
POISON_BYTES = 2**28


@dataclass(frozen=True)
class Answer:
    """What one call gave: outputs, gradients (None if the graph doesn't reach), and copies of the inputs before.

    `at_once` are the sampled rows of outputs as they were when the call returned, None of what is no such output.
    """

    inputs: Any
    before: tuple[torch.Tensor, ...]
    outputs: tuple[Any, ...]
    upstream: torch.Tensor | None
    gradients: tuple[torch.Tensor | None, ...]
    at_once: tuple[torch.Tensor | None, ...] = ()


def call(
    subject: Subject, inputs: Inputs, *, rows: torch.Tensor, seed: int, upstream_layout: Upstream = "dense"
) -> Answer:
    """Make one call on poisoned memory; unless forward, take gradients for a random upstream on the sampled rows."""
    described = subject.problem.outputs(subject.point)
    before = tuple(tensor.detach().clone() for tensor in inputs.tensors)
    first = inputs.tensors[0]
    if subject.direction == "forward":
        with torch.no_grad():
            with subject.implementation.entered():
                function = subject.bind(inputs)
                poison(described, like=first)
                result = function()
            outputs = _as_tuple(result)
            at_once = rows_of(outputs, described, rows)
        return Answer(inputs, before, outputs, None, (), at_once)
    for tensor in inputs.differentiable:
        tensor.requires_grad_(True)
    with subject.implementation.entered():
        function = subject.bind(inputs)
        poison(described, like=first)
        result = function()
    outputs = _as_tuple(result)
    upstream = upstream_gradient(described[0], rows=rows, like=first, seed=seed, layout=upstream_layout)
    reached = isinstance(outputs[0], torch.Tensor) and outputs[0].requires_grad and outputs[0].shape == upstream.shape
    none: tuple[torch.Tensor | None, ...] = (None,) * len(inputs.differentiable)
    if not reached:
        return Answer(inputs, before, outputs, upstream, none)
    with subject.implementation.entered():
        received = _Receiving.apply(outputs[0], upstream)  # type: ignore[no-untyped-call]
        gradients = torch.autograd.grad(received, inputs.differentiable, allow_unused=True)
    return Answer(inputs, before, outputs, upstream, gradients)


class _Receiving(torch.autograd.Function):
    """Give a tensor the upstream gradient that is handed over with it, by a number to be differentiated.

    Handed to `torch.autograd.grad` itself, it makes torch import its symbolic shapes, for some 0.3 s.
    """

    @staticmethod
    def forward(ctx: Any, output: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
        """Keep the upstream gradient."""
        ctx.upstream = upstream
        return torch.zeros((), dtype=output.dtype, device=output.device)

    @staticmethod
    def backward(ctx: Any, *_: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Hand it over."""
        return ctx.upstream, None


def rows_of(outputs: Sequence[Any], described: Sequence[Output], rows: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    """Copy the sampled rows of outputs, each through the class; None for what is no tensor of the shape described."""
    return tuple(
        torch.Tensor.index_select(torch.Tensor.detach(value), output.row_axis, rows.to(value.device))
        if type(value) is torch.Tensor and value.shape == output.shape
        else None
        for value, output in zip(outputs, described, strict=False)
    )


def poison(described: Sequence[Output], *, like: torch.Tensor) -> None:
    """Fill memory that the outputs will probably get with NaN, so that an element never written shows."""
    for output in described:
        if math.prod(output.shape) * like.element_size() * POISON_BLOCKS > POISON_BYTES:
            continue
        blocks = [torch.empty(output.shape, dtype=like.dtype, device=like.device) for _ in range(POISON_BLOCKS)]
        for block in blocks:
            block.fill_(math.nan)


def upstream_gradient(
    output: Output, *, rows: torch.Tensor, like: torch.Tensor, seed: int, layout: Upstream = "dense"
) -> torch.Tensor:
    """Draw a standard normal gradient for the sampled rows of an output, zero elsewhere, laid out as asked.

    An expanded one is a single number for every element, as a sum hands in; only where all rows are sampled. A shared
    one is that of the first index for all.
    """
    if layout == "expanded" and len(rows) == output.shape[output.row_axis]:
        return torch.full((1,), 0.75, dtype=like.dtype, device=like.device).expand(output.shape)
    shape = list(output.shape)
    shape[output.row_axis] = len(rows)
    generator = torch.Generator().manual_seed(seed + 1)
    values = torch.randn(shape, generator=generator).to(device=like.device, dtype=like.dtype)
    whole = torch.zeros(output.shape, dtype=like.dtype, device=like.device)
    whole.index_copy_(output.row_axis, rows.to(like.device), values)
    return _laid_out(whole, layout, row_axis=output.row_axis)


def _laid_out(whole: torch.Tensor, layout: Upstream, *, row_axis: int) -> torch.Tensor:
    """Lay a gradient out as asked; what lies between its numbers is NaN."""
    if layout == "columns" and whole.ndim > 1:
        return whole.mT.contiguous().mT
    if layout == "shared" and row_axis > 0:
        return whole[:1].expand_as(whole)
    if layout == "sliced":
        beside = torch.full((*whole.shape[:-1], 1), math.nan, dtype=whole.dtype, device=whole.device)
        return torch.cat([beside, whole, beside], -1)[..., 1:-1]
    if layout != "strided":
        return whole
    if row_axis > 0:
        return whole.transpose(1, 2).contiguous().transpose(1, 2)
    return torch.stack([whole, torch.full_like(whole, math.nan)], -1)[..., 0]


def contract_mistakes(subject: Subject, answer: Answer, *, spoiled: torch.Tensor | None = None) -> list[str]:
    """List what breaks the contract whatever the numbers: type, shape, dtype, device, aliasing, inputs, finiteness.

    Rows of outputs are finite, but for those that are true in `spoiled`, where nothing is.
    """
    described = subject.problem.outputs(subject.point)
    if len(answer.outputs) != len(described):
        return [f"returned {len(answer.outputs)} values, not {len(described)}"]
    like = answer.inputs.tensors[0]
    mistakes = [
        mistake
        for value, output in zip(answer.outputs, described, strict=True)
        for mistake in _tensor_mistakes(output.name, value, shape=output.shape, like=like, spoiled=spoiled)
    ]
    if mistakes:
        return mistakes
    storages = {address(tensor) for tensor in answer.inputs.tensors}
    mistakes = [
        f"{output.name} shares memory with an input"
        for value, output in zip(answer.outputs, described, strict=True)
        if address(value) in storages
    ]
    mistakes += [
        f"input {position} was given attributes: {', '.join(own)}"
        for position, tensor in enumerate(answer.inputs.tensors)
        if (own := own_attributes(tensor))
    ]
    mistakes += [
        f"input {position} was changed"
        for position, (tensor, kept) in enumerate(zip(answer.inputs.tensors, answer.before, strict=True))
        if not same_bits(torch.Tensor.detach(tensor), kept)
    ]
    if subject.direction != "forward":
        for name, gradient, tensor in zip(
            answer.inputs.names, answer.gradients, answer.inputs.differentiable, strict=True
        ):
            mistakes += _tensor_mistakes(f"d{name}", gradient, shape=tuple(tensor.shape), like=tensor)
    return mistakes


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Tell whether two tensors of a dtype hold the same values, NaN being the same as NaN."""
    return torch.equal(a, b) or (torch.equal(a.isnan(), b.isnan()) and torch.equal(a.nan_to_num(), b.nan_to_num()))


def _tensor_mistakes(
    name: str, value: Any, *, shape: tuple[int, ...], like: torch.Tensor, spoiled: torch.Tensor | None = None
) -> list[str]:
    if type(value) is not torch.Tensor:
        return [f"{name} is {type(value).__name__}, not torch.Tensor"]
    own = own_attributes(value)
    if own:
        # Its methods may be among them, and compute the answer when it is looked at.
        return [f"{name} has attributes of its own: {', '.join(own)}"]
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
    if wrong:
        return wrong
    odd = ~torch.Tensor.isfinite(value)
    if spoiled is not None:
        hidden = ~odd & spoiled.unsqueeze(-1)
        if bool(hidden.any()):
            return [f"{name} is finite at {first_index(hidden)}, in the row of a query that holds NaN"]
        odd &= ~spoiled.unsqueeze(-1)
    if bool(odd.any()):
        # The oracle is finite wherever inputs are, and a row with nothing to attend to is zero.
        wrong.append(f"{name} has {int(odd.sum())} elements that are not finite, first at {first_index(odd)}")
    return wrong


def own_attributes(tensor: torch.Tensor) -> list[str]:
    """List what was set on a tensor itself, which its methods would give way to."""
    return sorted(vars(tensor))


def address(tensor: torch.Tensor) -> int:
    """Return where a tensor's memory begins."""
    return int(torch.Tensor.untyped_storage(tensor).data_ptr())


def precision_note(tensor: torch.Tensor) -> str:
    """Name TF32 where float32 products may run in it: the reference does too, and the bound allows for it."""
    tf32 = tensor.is_cuda and tensor.dtype == torch.float32 and tf32_allowed()
    return "float32 products may run in TF32" if tf32 else ""


def contract_check(mistakes: Sequence[str], *, note: str = "") -> Check:
    """Record the contract's check, with all its mistakes, else a note."""
    return Check(
        name="contract", error=None, budget=None, ratio=None, passed=not mistakes, detail="; ".join(mistakes) or note
    )


def _as_tuple(result: Any) -> tuple[Any, ...]:
    # A tuple of a class of its own may compute what it holds when it is looked at.
    return tuple(result) if type(result) in (tuple, list) else (result,)
