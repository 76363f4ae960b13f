"""ONNX Runtime's operator Attention on a CPU: a model of one node, its tensors bound where torch keeps them."""

from __future__ import annotations

import functools
from typing import Any

import torch

from impls.attention._masks import allowed
from impls.registry import register

KINDS = {torch.float32: "FLOAT", torch.float16: "FLOAT16", torch.bool: "BOOL"}
# The first version of ONNX's operators whose Attention gives zeros to rows without a key.
OPSET = 24
# Sessions kept in a process; a sweep needs one for each head size, dtype and kind of mask.
SESSIONS_AT_MOST = 256


def load() -> None:
    """Import the packages."""
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401


@functools.lru_cache(maxsize=SESSIONS_AT_MOST)
def session(dtype: torch.dtype, scale: float, threads: int, *, causal: bool, masked: bool) -> Any:
    """Return a session of free sizes, whose threads sleep between calls and whose memory is the C library's."""
    import onnxruntime
    from onnx import helper

    names = ("q", "k", "v", "mask")[: 4 if masked else 3]
    node = helper.make_node("Attention", names, ["out"], scale=scale, is_causal=int(causal))
    dtypes = dict.fromkeys(("q", "k", "v", "out"), dtype) | {"mask": torch.bool}
    infos = {name: helper.make_tensor_value_info(name, onnx_kind(of), [None] * 4) for name, of in dtypes.items()}
    graph = helper.make_graph([node], "attention", [infos[name] for name in names], [infos["out"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Left alone, its threads spin on after each call, and torch's next call takes 2 to 15 times as long.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Its arena would keep the scores out of sight of every measurement.
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def onnx_kind(dtype: torch.dtype) -> int:
    """Return ONNX's number of a dtype."""
    from onnx import TensorProto

    return int(getattr(TensorProto, KINDS[dtype]))


@register(
    problem="attention",
    name="onnxruntime",
    devices=("cpu",),
    # Version 1.32 has no bfloat16, and takes the scale of a float64 as float32.
    dtypes=("float32", "float16"),
    supports=("causal", "valid_lens", "gqa", "d_v", "dead_rows"),
    requires=("onnxruntime", "onnx"),
    score_buffers=1.0,
    load=load,
    on_request=True,
    outside_torch=True,
)
def onnx_runtime(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Run the node; its is_causal is top left, so it is used only where that is bottom right too."""
    causal = causal and q.shape[2] > 1
    explicit = valid_lens is not None or (causal and q.shape[2] != k.shape[2])
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    # The node refuses other scales.
    q, scale = (q, scale) if scale > 0 else (q * scale, 1.0)
    out = q.new_empty((*q.shape[:3], v.shape[3]))
    tensors = {"q": q.contiguous(), "k": k.contiguous(), "v": v.contiguous(), "out": out}
    mask = allowed(q, k, causal=causal, valid_lens=valid_lens) if explicit else None
    if mask is not None:
        # It broadcasts over batch and heads, and not over queries.
        tensors["mask"] = mask.expand(-1, -1, q.shape[2], -1).contiguous()
    run = session(q.dtype, scale, torch.get_num_threads(), causal=causal and not explicit, masked=explicit)
    binding = run.io_binding()
    for name, tensor in tensors.items():
        bind = binding.bind_output if name == "out" else binding.bind_input
        bind(name, "cpu", 0, onnx_kind(tensor.dtype), list(tensor.shape), tensor.data_ptr())
    run.run_with_iobinding(binding)
    return out
