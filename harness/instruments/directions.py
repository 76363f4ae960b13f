"""The measured call of a direction: forward under no_grad, backward on a retained graph, or both."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from impls.contract import Inputs
    from impls.subject import Subject


@dataclass(frozen=True)
class MeasuredCall:
    """A call ready to be measured, and the bytes saved for backward (None: forward).

    `written` are the tensors of numbers that the call reads anew each time, so that they may be written in place.
    """

    call: Callable[[], Any]
    saved_bytes: int | None
    written: tuple[torch.Tensor, ...] = ()


@contextmanager
def measured_call(subject: Subject, inputs: Inputs) -> Iterator[MeasuredCall]:
    """Prepare the call of a subject's direction; gradients come from autograd.grad, so none accumulates between calls.

    Within the context gradients are recorded only if the direction needs them, and the implementation's own context,
    such as its choice of a backend, is entered.
    """
    with subject.implementation.entered(), _measured_call(subject, inputs) as measured:
        yield measured


@contextmanager
def _measured_call(subject: Subject, inputs: Inputs) -> Iterator[MeasuredCall]:
    numbers = tuple(tensor for tensor in inputs.tensors if tensor.is_floating_point())
    if subject.direction == "forward":
        with torch.no_grad():
            yield MeasuredCall(call=subject.bind(inputs), saved_bytes=None, written=numbers)
        return
    for tensor in inputs.differentiable:
        tensor.requires_grad_(True)
    bound = subject.bind(inputs)
    resident = {tensor.untyped_storage().data_ptr() for tensor in inputs.tensors}
    saved: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in resident:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad():
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            out = output_tensor(bound())
        upstream = torch.randn(out.shape, generator=_generator(out.device), device=out.device).to(out.dtype)
        wanted = inputs.differentiable
        saved_bytes = sum(saved.values())
        if subject.direction == "backward":
            # The graph has saved its inputs; the gradient handed in is read at each call.
            yield MeasuredCall(
                functools.partial(torch.autograd.grad, out, wanted, upstream, retain_graph=True),
                saved_bytes,
                written=(upstream,),
            )
            return
        # A measured call records a graph of its own; this one would stay in memory beside it.
        del out
        yield MeasuredCall(
            lambda: torch.autograd.grad(output_tensor(bound()), wanted, upstream), saved_bytes, written=numbers
        )


def output_tensor(result: Any) -> torch.Tensor:
    """Return the output that agreement and gradients are about: the result, or the first of several."""
    first = result[0] if type(result) is tuple else result
    if type(first) is not torch.Tensor:
        raise TypeError(f"an implementation must return a tensor, not {type(first).__name__}")
    return first


def returned_bytes(result: Any) -> int:
    """Count the bytes of the tensors that a call returned."""
    tensors = result if isinstance(result, tuple) else (result,)
    return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, torch.Tensor))


def _generator(device: torch.device) -> torch.Generator:
    return torch.Generator(device=device).manual_seed(0)
