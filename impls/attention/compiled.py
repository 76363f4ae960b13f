"""The textbook formula through torch.compile: what the compiler makes of it without being told about attention.

It is the formula written with einsum, which stays two matrix products; written with matrix products and no mask, the
compiler recognises it and calls scaled_dot_product_attention. A kernel is compiled for each shape: seconds each.
"""

from __future__ import annotations

import functools
import os
import shutil
import types
from typing import TYPE_CHECKING, Any

import torch

from impls.attention.einsum import einsum
from impls.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable

# The compiler writes C++: its own for a CPU's kernels, and Triton for what launches a GPU's.
COMPILER = os.environ.get("CXX", "g++")
if shutil.which(COMPILER) is None:
    raise ImportError(f"needs a C++ compiler: there is no {COMPILER!r} (set CXX to another)")

FEATURES = ("causal", "valid_lens", "gqa", "d_v", "dead_rows", "backward")
# Kernels kept in a process; a run visits fewer points.
KERNELS_AT_MOST = 256


def build(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **options: Any) -> Callable[[], torch.Tensor]:
    """Compile for these shapes by calling once; return the call."""
    attend = kernel(q, k, v, **options)
    attend(q, k, v, **options)
    return lambda: attend(q, k, v, **options)


@register(
    problem="attention",
    name="compiled",
    devices=("cpu",),
    supports=FEATURES,
    prepare=build,
    score_buffers=2.0,
    on_request=True,
    compiles=True,
)
@register(
    problem="attention",
    name="compiled",
    devices=("cuda",),
    supports=FEATURES,
    requires=("triton",),
    prepare=build,
    score_buffers=2.0,
    on_request=True,
    compiles=True,
    untried=True,
)
def compiled(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Run the compiled formula; the first call of a shape compiles it."""
    options = {"causal": causal, "scale": scale, "valid_lens": valid_lens}
    return kernel(q, k, v, **options)(q, k, v, **options)  # type: ignore[no-any-return]


def kernel(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **options: Any) -> Callable[..., Any]:
    """Return the compiled function of a shape, dtype, layout and options, made once."""
    given = {"q": q, "k": k, "v": v, **options}
    return _compiled(*((name, _kind(value)) for name, value in given.items()))


def _kind(value: Any) -> Any:
    """Return what a kernel is compiled for: of a tensor, all but its values."""
    if not isinstance(value, torch.Tensor):
        return value
    return (tuple(value.shape), value.stride(), value.dtype, value.device, value.requires_grad)


@functools.lru_cache(maxsize=KERNELS_AT_MOST)
def _compiled(*_: object) -> Callable[..., Any]:
    """Compile anew, under a code object of its own: the compiler gives up after eight shapes of one."""
    own = types.FunctionType(einsum.__code__.replace(), einsum.__globals__, "compiled", einsum.__defaults__)
    own.__kwdefaults__ = einsum.__kwdefaults__
    return torch.compile(own, fullgraph=True, dynamic=False)
