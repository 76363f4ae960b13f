"""What model code of the package transformers pays: its function around SDPA, and its eager formula."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import torch

from impls.attention._masks import allowed
from impls.registry import register

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = ("causal", "valid_lens", "gqa", "d_v", "backward")


def load_sdpa() -> Callable[..., tuple[torch.Tensor, None]]:
    """Import the function that its models call for SDPA."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    return sdpa_attention_forward  # type: ignore[no-any-return]


def load_eager() -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """Import the formula as the file of Llama has it; others have the same."""
    from transformers.models.llama.modeling_llama import eager_attention_forward

    return eager_attention_forward  # type: ignore[no-any-return]


@register(
    problem="attention",
    name="hf-sdpa",
    devices=("cpu",),
    supports=(*MOST, "dead_rows"),
    requires=("transformers",),
    expects=("scaled_dot_product",),
    deterministic=False,
    load=load_sdpa,
    on_request=True,
)
@register(
    problem="attention",
    name="hf-sdpa",
    devices=("cuda", "mps"),
    supports=MOST,
    requires=("transformers",),
    expects=("scaled_dot_product", "_attention"),
    deterministic=False,
    load=load_sdpa,
    on_request=True,
    untried=True,
)
def hf_sdpa(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Give a boolean mask unless the function's own is_causal (top left) is right; it gives [batch, n, heads, d]."""
    explicit = valid_lens is not None or (causal and q.shape[2] not in {1, k.shape[2]})
    mask = allowed(q, k, causal=causal, valid_lens=valid_lens) if explicit else None
    layer = SimpleNamespace(num_key_value_groups=q.shape[1] // k.shape[1])
    out, _ = load_sdpa()(layer, q, k, v, mask, scaling=scale, is_causal=causal)
    return out.transpose(1, 2)


@register(
    problem="attention",
    name="hf-eager",
    devices=("cuda", "mps"),
    dtypes=("float32", "bfloat16"),
    supports=MOST,
    requires=("transformers",),
    expects=("bmm",),
    score_buffers={"float32": 3.0, "bfloat16": 4.0},
    load=load_eager,
    on_request=True,
    untried=True,
)
@register(
    problem="attention",
    name="hf-eager",
    devices=("cpu",),
    # Its softmax is in float32, which a float64 shows; it scales after its product, which float16 overflows (5.24.0).
    dtypes=("float32", "bfloat16"),
    supports=MOST,
    requires=("transformers",),
    expects=("bmm",),
    score_buffers={"float32": 3.0, "bfloat16": 4.0},
    load=load_eager,
    on_request=True,
)
def hf_eager(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    valid_lens: torch.Tensor | None = None,
) -> torch.Tensor:
    """Add a mask of the most negative number, as its models do: a row without a key averages the values."""
    mask = allowed(q, k, causal=causal, valid_lens=valid_lens)
    if mask is not None:
        mask = torch.where(mask, 0.0, torch.finfo(q.dtype).min).to(q.dtype)
    layer = SimpleNamespace(num_key_value_groups=q.shape[1] // k.shape[1], training=False)
    out, _ = load_eager()(layer, q, k, v, mask, scaling=q.shape[-1] ** -0.5 if scale is None else scale)
    return out.transpose(1, 2)
