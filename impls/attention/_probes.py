"""What the gate feeds an implementation of `attention`: kinds of input values, and the battery of small cases."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from impls.contract import Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Triple = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def _normal(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, _: torch.dtype) -> Triple:
    return q, k, v


def _large_logits(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, _: torch.dtype) -> Triple:
    """Give scores of standard deviation 8: most weight lies on a few keys."""
    return q * 8, k, v


def _huge_logits(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, dtype: torch.dtype) -> Triple:
    """Give scores of standard deviation 40: exp overflows float32 unless the maximum is subtracted (float64: 400)."""
    return q * (400 if dtype == torch.float64 else 40), k, v


def _needle(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, _: torch.dtype) -> Triple:
    """Let each query pick one key out: it is 12 sqrt(d) times it."""
    return _aim(q, k, offset=0), torch.nn.functional.normalize(k, dim=-1), v


def _border_needle(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, _: torch.dtype) -> Triple:
    """Make the strongest key of each query the first that a causal mask forbids; its own comes second."""
    own, forbidden = _aim(q, k, offset=0), _aim(q, k, offset=1)
    return 0.5 * own + forbidden, torch.nn.functional.normalize(k, dim=-1), v


def _aim(q: torch.Tensor, k: torch.Tensor, *, offset: int) -> torch.Tensor:
    """Return 12 sqrt(d) times the key that stands `offset` after each query's own, the last query's being the last."""
    n_q, n_k, group = q.shape[2], k.shape[2], q.shape[1] // k.shape[1]
    position = (torch.arange(n_q, device=q.device) + n_k - n_q + offset).clamp(0, n_k - 1)
    unit = torch.nn.functional.normalize(k, dim=-1).repeat_interleave(group, dim=1)
    return unit[:, :, position] * (12.0 * math.sqrt(q.shape[-1]))


def _huge_key(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, _: torch.dtype) -> Triple:
    """Make one key in the middle 30 times as long, so that rows attend to it alone or not at all."""
    k[:, :, k.shape[2] // 2] *= 30
    return q, k, v


def _constant_rows(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, _: torch.dtype) -> Triple:
    """Let each vector repeat one value: sums of products don't cancel."""
    return tuple(tensor[..., :1].expand_as(tensor) for tensor in (q, k, v))  # type: ignore[return-value]


def _equal_scores(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, _: torch.dtype) -> Triple:
    """Make all keys the same: the output is the mean of the values."""
    return q, k[:, :, :1].expand_as(k), v


def _shifted_values(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, _: torch.dtype) -> Triple:
    """Give values a mean of 10: weights that don't sum to one show."""
    return q, k, v + 10


def _tiny_values(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, dtype: torch.dtype) -> Triple:
    """Put values at the edge of the normal numbers: weighted sums are denormal."""
    return q, k, v * (2.0**-15 if dtype == torch.float16 else 1e-38)


def _denormal_queries(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, dtype: torch.dtype) -> Triple:
    """Make queries denormal: scores vanish and all keys weigh the same."""
    return q * (2.0**-20 if dtype == torch.float16 else 1e-40), k, v


def _long_tails(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, _: torch.dtype) -> Triple:
    """Make values log-normal with random sign: a few elements carry each sum."""
    q, k, v = (tensor.sign() * torch.exp(1.5 * tensor.abs() - 1).clamp(max=60.0) for tensor in (q, k, v))
    return q, k, v


def _outlier_channel(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, _: torch.dtype) -> Triple:
    """Make one feature 20 times as large in queries and keys, as trained models have it."""
    q[..., q.shape[-1] // 2] *= 20
    k[..., k.shape[-1] // 2] *= 20
    return q, k, v


def _transposed(tensor: torch.Tensor) -> torch.Tensor:
    """Lay out as [batch, n, heads, d] seen as [batch, heads, n, d], as projections give it."""
    return tensor.transpose(1, 2).contiguous().transpose(1, 2)


def _sliced(tensor: torch.Tensor) -> torch.Tensor:
    """Lay out as a slice of a wider tensor: rows are neither adjacent nor aligned."""
    wider = torch.zeros((*tensor.shape[:-1], tensor.shape[-1] + 3), dtype=tensor.dtype, device=tensor.device)
    view = wider[..., 1:-2]
    view.copy_(tensor)
    return view


# Kinds of input values, by name; each changes standard normal q, k, v.
KINDS: Mapping[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.dtype], Triple]] = {
    "normal": _normal,
    "large logits": _large_logits,
    "huge logits": _huge_logits,
    "needle": _needle,
    "border needle": _border_needle,
    "huge key": _huge_key,
    "constant rows": _constant_rows,
    "equal scores": _equal_scores,
    "shifted values": _shifted_values,
    "tiny values": _tiny_values,
    "denormal queries": _denormal_queries,
    "long tails": _long_tails,
    "outlier channel": _outlier_channel,
    "transposed": _normal,
    "sliced": _normal,
}
# Kinds whose tensors are not contiguous.
LAYOUTS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {"transposed": _transposed, "sliced": _sliced}

# Two blocks of 16 and a tail of one; several heads and batch elements, so that mixing them up shows.
SMALL = {"n": 33, "d": 16, "heads": 2, "batch": 2}
GROUPED = {"heads": 6, "kv_heads": 2, "batch": 2, "d": 16}
SHAPES = (
    Probe("one token", {"n": 1, "d": 8}),
    Probe("one token, odd d", {"n": 1, "d": 33, "heads": 2}),
    Probe("decode", {"n_q": 1, "n_k": 300, "d": 64, "heads": 2}, quick=True),
    Probe("decode, causal", {"n_q": 1, "n_k": 300, "d": 64, "heads": 2, "causal": True}),
    Probe("n 2", {"n": 2, "d": 16, "causal": True}),
    Probe("n 64", {"n": 64, "d": 32}),
    Probe("n 65, causal", {"n": 65, "d": 32, "causal": True}),
    Probe("n 127", {"n": 127, "d": 32, "heads": 2}),
    Probe("n 129, causal", {"n": 129, "d": 64, "heads": 2, "causal": True}, quick=True),
    Probe("n 257", {"n": 257, "d": 64}),
    Probe("n_q 100, n_k 257, causal", {"n_q": 100, "n_k": 257, "d": 32, "causal": True}, quick=True),
    Probe("n_q 257, n_k 100", {"n_q": 257, "n_k": 100, "d": 32}),
    Probe("n_q 45, n_k 20, causal", {"n_q": 45, "n_k": 20, "d": 16, "heads": 2, "causal": True}, quick=True),
    Probe("n_k 4096", {"n_q": 64, "n_k": 4096, "d": 32}),
    Probe("n_k 4096, causal", {"n_q": 64, "n_k": 4096, "d": 32, "causal": True}),
    Probe("d 1", {"n": 33, "d": 1, "heads": 2}),
    Probe("d 3", {"n": 33, "d": 3}),
    Probe("d 80", {"n": 33, "d": 80}),
    Probe("d 96, causal", {"n": 33, "d": 96, "causal": True}),
    Probe("d 128", {"n": 33, "d": 128}),
    Probe("d 256", {"n": 33, "d": 256}),
    Probe("d_v 24", {**SMALL, "d_v": 24}),
    Probe("d_v 5, causal", {**SMALL, "d_v": 5, "causal": True}),
    Probe("batch 3, heads 5", {"n": 20, "d": 8, "batch": 3, "heads": 5}),
    Probe("kv_heads 1", {"n": 33, "d": 16, "heads": 4, "kv_heads": 1}),
    Probe("kv_heads 2 of 6", {**GROUPED, "n": 33}, quick=True),
    Probe("kv_heads 2 of 6, causal", {**GROUPED, "n_q": 20, "n_k": 33, "causal": True}),
    Probe("valid_lens 0", {**SMALL, "valid_lens": 0}),
    Probe("valid_lens 1", {**SMALL, "valid_lens": 1}),
    Probe("valid_lens n", {**SMALL, "valid_lens": 33}),
    Probe("valid_lens by batch", {**SMALL, "valid_lens": "batch"}, quick=True),
    Probe("valid_lens by row", {**SMALL, "valid_lens": "rows"}, quick=True),
    Probe("valid_lens by batch, causal", {**SMALL, "valid_lens": "batch", "causal": True}),
    Probe("valid_lens by row, kv_heads 2 of 6", {**GROUPED, "n": 33, "valid_lens": "rows"}),
    Probe("valid_lens by batch, n_k 257", {"n_q": 20, "n_k": 257, "d": 16, "batch": 3, "valid_lens": "batch"}),
    Probe("scale 1", {**SMALL, "scale": 1.0}, quick=True),
    Probe("scale 0.02, causal", {**SMALL, "scale": 0.02, "causal": True}),
    Probe("scale 0", {**SMALL, "scale": 0.0}),
)
# Kinds that are quick's share of values.
QUICK = ("normal", "huge logits", "border needle", "shifted values", "transposed")
PROBES = (
    *(Probe(kind, SMALL, kind, quick=kind in QUICK) for kind in KINDS),
    *(Probe(f"{kind}, causal", {**SMALL, "causal": True}, kind, quick=kind in QUICK) for kind in KINDS),
    *SHAPES,
)
# Small enough to be called over a hundred times, so that an error in every hundredth call is met.
REPEATED = Probe("tiny", {"n": 6, "d": 8, "heads": 2})
