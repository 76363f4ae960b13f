"""OpenVINO's scaled dot product attention on a CPU: a model of one node, compiled for the shapes of the call."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import torch

from impls.attention._masks import allowed
from impls.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable

TYPES = {torch.float32: "f32", torch.bfloat16: "bf16", torch.bool: "boolean"}
# Compiled models kept in a process; a sweep has a few dozen shapes.
MODELS_AT_MOST = 256


def load() -> None:
    """Import the package without what it would tell others.

    Its import reports itself to an analytics service and writes an id into the home directory, unasked. Where the
    package that does this is not found, openvino has a stub of its own.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino  # noqa: F401


@functools.lru_cache(maxsize=MODELS_AT_MOST)
def request(
    dtype: torch.dtype, shapes: tuple[tuple[int, ...], ...], scale: float, threads: int, *, causal: bool
) -> Any:
    """Compile for these shapes: a model of free sizes gave wrong numbers after a first call of one token (2026.4.1)."""
    import openvino
    from openvino import opset13

    kinds = [TYPES[dtype]] * 3 + ["boolean"]
    inputs = [
        opset13.parameter(list(shape), getattr(openvino.Type, kind))
        for shape, kind in zip(shapes, kinds, strict=False)  # a mask, or none
    ]
    factor = opset13.constant(scale, getattr(openvino.Type, TYPES[dtype]))
    mask = inputs[3] if len(inputs) > len("qkv") else None
    node = opset13.scaled_dot_product_attention(*inputs[:3], mask, factor, causal=causal)
    settings = {
        # Left alone it is bf16 wherever the CPU has that.
        "INFERENCE_PRECISION_HINT": TYPES[dtype],
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
    }
    return openvino.Core().compile_model(openvino.Model([node], inputs), "CPU", settings).create_infer_request()


def lend(tensor: torch.Tensor) -> Any:
    """Return OpenVINO's view of a contiguous tensor, which it doesn't keep alive; numpy has no bfloat16."""
    import openvino

    bits = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
    return openvino.Tensor(bits.numpy(), openvino.Shape(tensor.shape), getattr(openvino.Type, TYPES[tensor.dtype]))


def build(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **options: Any) -> Callable[[], torch.Tensor]:
    """Compile for these shapes by calling once."""
    call = functools.partial(openvino_sdpa, q, k, v, **options)
    call()
    return call


@register(
    problem="attention",
    name="openvino",
    devices=("cpu",),
    # Its float16 agrees on CPUs that compute in it (avx512_fp16) and is 7 times beyond its budget on others (2026.4.1).
    dtypes=("float32", "bfloat16"),
    supports=("causal", "valid_lens", "gqa", "d_v", "dead_rows"),
    requires=("openvino",),
    prepare=build,
    load=load,
    on_request=True,
    outside_torch=True,
)
def openvino_sdpa(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Run the node: its causal is top left, it knows no groups of heads, and a row without a key is NaN.

    The queries of a group become more rows of one head, so that keys and values are not repeated.
    """
    (batch, heads, n_q, d), kv_heads = q.shape, k.shape[1]
    group = heads // kv_heads
    causal = causal and n_q > 1
    explicit = valid_lens is not None or (causal and (n_q != k.shape[2] or group > 1))
    mask = allowed(q, k, causal=causal, valid_lens=valid_lens) if explicit else None
    tensors = [q.reshape(batch, kv_heads, group * n_q, d), k, v]
    if mask is not None:
        tensors.append(mask.expand(-1, -1, n_q, -1).repeat(1, 1, group, 1))
    # Held here until the call is over.
    tensors = [tensor.contiguous() for tensor in tensors]
    shapes = tuple(tuple(tensor.shape) for tensor in tensors)
    scale = d**-0.5 if scale is None else scale
    run = request(q.dtype, shapes, scale, torch.get_num_threads(), causal=causal and not explicit)
    out = q.new_empty((batch, heads, n_q, v.shape[3]))
    for position, tensor in enumerate(tensors):
        run.set_input_tensor(position, lend(tensor))
    run.set_output_tensor(0, lend(out.view(batch, kv_heads, group * n_q, -1)))
    run.infer()
    return out if mask is None else out.masked_fill_(~mask.any(-1, keepdim=True), 0.0)
