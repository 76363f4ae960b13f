"""What the gate feeds an implementation of `attention`: kinds of input values, and the battery of small cases."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from impls.attention._masks import without_padding
from impls.contract import Probe
from impls.covering import cover

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


def _sink(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, _: torch.dtype) -> Triple:
    """Let every query put nearly all weight on the first key, as trained models do: others score 40 less."""
    d = q.shape[-1]
    q[..., 0] = math.sqrt(40.0) * d**0.25
    k[..., 0] = 0.0
    k[:, :, 0] = 0.0
    k[:, :, 0, 0] = math.sqrt(40.0) * d**0.25
    return q, k, v


def _large_products(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, _: torch.dtype) -> Triple:
    """Let each query pick one key out by a product of 120000, past float16 until it is scaled (d >= 4)."""
    size = math.sqrt(120000.0)
    unit = torch.nn.functional.normalize(k, dim=-1)
    return torch.nn.functional.normalize(_aim(q, k, offset=0), dim=-1) * size, unit * size, v


def _nan_row(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, _: torch.dtype) -> Triple:
    """Put NaN into one query of the first batch element's last head."""
    q[0, -1, q.shape[2] // 2] = math.nan
    return q, k, v


def fill_padding(k: torch.Tensor, v: torch.Tensor, valid_lens: torch.Tensor, value: float) -> None:
    """Write a value into keys and values [batch, kv_heads, n_k, ...] where no row of the batch element may look."""
    for tensor in (k, v):
        beyond = without_padding(torch.ones_like(tensor), valid_lens) == 0
        tensor.masked_fill_(beyond, value)


def _each(lay_out: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., Triple]:
    return lambda *tensors: tuple(map(lay_out, tensors))


def _transposed(tensor: torch.Tensor) -> torch.Tensor:
    """Lay out as [batch, n, heads, d] seen as [batch, heads, n, d], as projections give it."""
    return tensor.transpose(1, 2).contiguous().transpose(1, 2)


def _columns(tensor: torch.Tensor) -> torch.Tensor:
    """Lay out with features outermost: the last stride is n."""
    return tensor.mT.contiguous().mT


def _one_buffer(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Triple:
    """Make q, k, v views of one buffer: [batch, n, (heads + kv_heads) d + ...] as a fused projection gives it.

    Where n_q differs from n_k, one lies behind the other.
    """
    if q.shape[2] != k.shape[2]:
        flat = torch.cat([tensor.flatten() for tensor in (q, k, v)])
        first, second = q.numel(), q.numel() + k.numel()
        return flat[:first].view(q.shape), flat[first:second].view(k.shape), flat[second:].view(v.shape)
    rows = torch.cat([tensor.transpose(1, 2).flatten(2) for tensor in (q, k, v)], -1)  # [batch, n, heads * d]
    first, second = q.shape[1] * q.shape[3], q.shape[1] * q.shape[3] + k.shape[1] * k.shape[3]
    return (
        rows[..., :first].view(*q.transpose(1, 2).shape).transpose(1, 2),
        rows[..., first:second].view(*k.transpose(1, 2).shape).transpose(1, 2),
        rows[..., second:].view(*v.transpose(1, 2).shape).transpose(1, 2),
    )


def _shared_batch(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Triple:
    """Let every batch element see the first one's keys and values, at stride 0."""
    return q, k[:1].expand_as(k), v[:1].expand_as(v)


def _shared_heads(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Triple:
    """Let every head see the first one's keys and values, at stride 0."""
    return q, k[:, :1].expand_as(k), v[:, :1].expand_as(v)


def _values_in_columns(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Triple:
    """Let the values alone lie with features outermost, as a cache that is transposed for the second product."""
    return q, k, _columns(v)


def _every_second(tensor: torch.Tensor) -> torch.Tensor:
    """Lay out as every second number of memory, as a part of interleaved pairs; NaN lies between."""
    return torch.stack([torch.full_like(tensor, math.nan), tensor], -1)[..., 1]


def _sliced(tensor: torch.Tensor) -> torch.Tensor:
    """Lay out as a slice of a wider tensor: rows are neither adjacent nor aligned."""
    wider = torch.zeros((*tensor.shape[:-1], tensor.shape[-1] + 3), dtype=tensor.dtype, device=tensor.device)
    view = wider[..., 1:-2]
    view.copy_(tensor)
    return view


# Kinds of input values, by name; each changes standard normal q, k, v.
KINDS: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.dtype], Triple]] = {
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
    "large products": _large_products,
    "sink": _sink,
}
VALUES = tuple(KINDS)
# Kinds whose tensors do not lie in memory in order, and how they do.
LAYOUTS: Mapping[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Triple]] = {
    "transposed": _each(_transposed),
    "sliced": _each(_sliced),
    "columns": _each(_columns),
    "values in columns": _values_in_columns,
    "every second": _each(_every_second),
    "one buffer": _one_buffer,
    "shared batch": _shared_batch,
    "shared heads": _shared_heads,
}
HUGE, HUGE_IN_FLOAT16 = 1e30, 1e3
# What keys and values beyond the lengths hold: NaN, or a finite number whose products with others are finite too.
PADDING: Mapping[str, Callable[[torch.dtype], float]] = {
    "huge padding": lambda dtype: HUGE_IN_FLOAT16 if dtype == torch.float16 else HUGE,
    "NaN padding": lambda _: math.nan,
}
KINDS.update(dict.fromkeys((*LAYOUTS, *PADDING), _normal))
KINDS["NaN query"] = _nan_row


def parts(kind: str) -> tuple[str, str]:
    """Split a kind into the words for what tensors hold and for how they lie; a single word may say either."""
    values, _, layout = kind.partition(", ")
    return values, layout or values


# Two blocks of 16 and a tail of one; several heads and batch elements, so that mixing them up shows.
SMALL = {"n": 33, "d": 16, "heads": 2, "batch": 2}
# What a covering array combines. Whole blocks and tails of them; few heads, as the oracle takes them one by one.
OPTIONS: Mapping[str, tuple[Any, ...]] = {
    "n_q": (1, 12, 20, 29),
    "n_k": (20,),
    "causal": (False, True),
    "valid_lens": (None, 13, "batch_ends", "rows", "batch_empty", "rows_empty"),
    "kv_heads": (1, 2),
    "group": (1, 2, 4),
    "batch": (1, 2),
    "d": (6, 16, 40, 64, 128),
    "d_v": ("d", 10),
    "scale": (None, 0.3),
    "values": ("normal", "huge logits", "shifted values", "large products"),
    "layout": ("in order", *LAYOUTS),
    "upstream": ("dense", "strided", "columns", "sliced", "shared", "expanded"),
}
# All combinations of these occur; of others, all of two.
TOGETHER = (("n_q", "causal", "valid_lens"), ("n_q", "kv_heads", "group", "batch"), ("group", "d_v", "causal"))
# What few implementations know; each value occurs together with each of every option above.
RARE: Mapping[str, tuple[Any, ...]] = {"window": (3, 16), "softcap": (2.0, 30.0), "bias": ("heads", "batch")}


def with_rare(name: str) -> tuple[dict[str, tuple[Any, ...]], tuple[tuple[str, ...], ...]]:
    """Return the options with those of a rare feature, and which of them occur together.

    Rounding changed scores of tens of thousands in 16 bits moves exponents by a hundred: of these nothing is asked.
    """
    values = tuple(value for value in OPTIONS["values"] if value != "large products")
    return {**OPTIONS, name: RARE[name], "values": values}, (
        *((name, other) for other in OPTIONS),
        (name, "causal", "n_q"),
    )


def _combined(options: Mapping[str, Any], *, name: str, quick: bool = False) -> Probe:
    """Make a probe of a row of a covering array."""
    point = {name: value for name, value in options.items() if name not in {"group", "values", "layout", "upstream"}}
    point["heads"] = options["kv_heads"] * options["group"]
    point["d_v"] = options["d"] if options["d_v"] == "d" else options["d_v"]
    words = [f"{name} {point[name]}" for name in ("n_q", "heads", "kv_heads", "batch", "d", "d_v")]
    words += [f"{name} {point[name]}" for name in ("valid_lens", "scale", *RARE) if point.get(name) is not None]
    held = [word for word in (options["values"], options["layout"]) if word not in {"normal", "in order"}]
    words += ["causal"] * point["causal"] + [*held, f"{options['upstream']} gradient"]
    return Probe(
        f"{name}: {', '.join(words)}", point, ", ".join(held) or "normal", quick=quick, upstream=options["upstream"]
    )


ONE_WAY = tuple(_combined(row, name=f"one-way {i}", quick=True) for i, row in enumerate(cover(OPTIONS, strength=1), 1))
PAIRS = tuple(_combined(row, name=f"pairs {i}") for i, row in enumerate(cover(OPTIONS, more=TOGETHER), 1))


def _crossed(name: str) -> tuple[Probe, ...]:
    options, together = with_rare(name)
    rows = cover(options, strength=1, more=together)
    return tuple(_combined(row, name=f"{name} {i}") for i, row in enumerate(rows, 1))


CROSSED = {name: _crossed(name) for name in RARE}
GROUPED = {"heads": 6, "kv_heads": 2, "batch": 2, "d": 16}
DIRTY = frozenset({"dirty_padding"})
SHAPES = (
    Probe("one token, odd d", {"n": 1, "d": 33, "heads": 2}),
    Probe("decode", {"n_q": 1, "n_k": 300, "d": 64, "heads": 2, "batch": 2}, quick=True),
    Probe("n 2", {"n": 2, "d": 16, "causal": True}),
    Probe("n 64, causal", {"n": 64, "d": 32, "causal": True}),
    Probe("n 65, causal", {"n": 65, "d": 32, "causal": True}),
    Probe("n 127", {"n": 127, "d": 32}),
    Probe("n 128", {"n": 128, "d": 32}),
    Probe("n 129, causal", {"n": 129, "d": 64, "causal": True}, quick=True),
    Probe("n 257", {"n": 257, "d": 64}),
    Probe("n_q 100, n_k 257, causal", {"n_q": 100, "n_k": 257, "d": 32, "causal": True}, quick=True),
    Probe("n_q 257, n_k 100", {"n_q": 257, "n_k": 100, "d": 32}),
    Probe("n_q 45, n_k 20, causal", {"n_q": 45, "n_k": 20, "d": 16, "heads": 2, "causal": True}, quick=True),
    Probe("n_k 4096", {"n_q": 64, "n_k": 4096, "d": 32}),
    # Positions past 2^15 and 2^16, where short integers wrap.
    Probe("n_k 66000, causal", {"n_q": 2, "n_k": 66000, "d": 4, "causal": True}),
    Probe("d 1", {"n": 33, "d": 1, "heads": 2}),
    *(Probe(f"d {d}", {"n": 17, "d": d}) for d in (3, 20, 48, 72, 80, 96, 128, 112, 160, 224, 256, 512)),
    Probe("d 192", {"n": 17, "d": 192}, quick=True),
    Probe("d 192, d_v 128, causal", {"n": 17, "d": 192, "d_v": 128, "causal": True}),
    Probe("d_v 24", {**SMALL, "d_v": 24}),
    Probe("batch 3, heads 5", {"n": 20, "d": 8, "batch": 3, "heads": 5}),
    Probe("kv_heads 2 of 6", {**GROUPED, "n": 33}, quick=True),
    Probe("valid_lens 0", {**SMALL, "valid_lens": 0}),
    Probe("valid_lens 1", {**SMALL, "valid_lens": 1}),
    Probe("valid_lens n", {**SMALL, "valid_lens": 33}),
    Probe("valid_lens by batch", {**SMALL, "valid_lens": "batch"}, quick=True),
    Probe("valid_lens by row", {**SMALL, "valid_lens": "rows"}, quick=True),
    Probe("valid_lens by batch, one empty", {**SMALL, "batch": 3, "valid_lens": "batch_empty"}, quick=True),
    Probe("valid_lens by batch, n_k 257", {"n_q": 20, "n_k": 257, "d": 16, "batch": 3, "valid_lens": "batch_ends"}),
    Probe("huge padding, by batch", {**SMALL, "valid_lens": "batch"}, "huge padding", quick=True),
    Probe("huge padding, by row", {**SMALL, "n": 12, "valid_lens": "rows"}, "huge padding"),
    Probe("NaN padding, by batch", {**SMALL, "valid_lens": "batch"}, "NaN padding", quick=True, needs=DIRTY),
    Probe("NaN padding, one length", {**SMALL, "valid_lens": 20}, "NaN padding", needs=DIRTY),
    Probe("NaN in a query", SMALL, "NaN query", quick=True, spoils_row=True),
    Probe("NaN in a query, causal", {**SMALL, "causal": True}, "NaN query", spoils_row=True),
    Probe("NaN in a query, by batch", {**SMALL, "valid_lens": "batch"}, "NaN query", spoils_row=True),
    Probe("NaN in a query, by row, grouped", {**GROUPED, "n": 12, "valid_lens": "rows"}, "NaN query", spoils_row=True),
    Probe("NaN in the only query", {"n_q": 1, "n_k": 20, **GROUPED}, "NaN query", spoils_row=True),
    Probe("strided gradient", SMALL, quick=True, upstream="strided"),
    # As a fused projection gives them.
    Probe("one buffer, as many queries as keys", SMALL, "one buffer"),
    Probe("scale 1", {**SMALL, "scale": 1.0}, quick=True),
    Probe("scale 0.02, causal", {**SMALL, "scale": 0.02, "causal": True}),
    Probe("scale 0", {**SMALL, "scale": 0.0}),
    Probe("scale -0.3", {**SMALL, "scale": -0.3}),
)
# What few implementations know, by itself and crossed with what it may be mixed up with.
WINDOWS = (
    Probe("window 7 of 33", {**SMALL, "window": 7}, quick=True),
    Probe("window 7 of 33, causal", {**SMALL, "window": 7, "causal": True}, quick=True),
    Probe("window 1, causal", {**SMALL, "window": 1, "causal": True}),
    Probe("window 33 of 33, causal", {**SMALL, "window": 33, "causal": True}),
    Probe("window 40 of 33", {**SMALL, "window": 40}),
    Probe("window 128 of 300, causal", {"n": 300, "d": 32, "window": 128, "causal": True}),
    Probe(
        "window 16, n_q 20, n_k 65, causal", {"n_q": 20, "n_k": 65, "d": 16, "window": 16, "causal": True}, quick=True
    ),
    Probe("window 9, n_q 45, n_k 20", {"n_q": 45, "n_k": 20, "d": 16, "heads": 2, "window": 9}),
    Probe(
        "window 50, one query",
        {"n_q": 1, "n_k": 300, "d": 64, "heads": 2, "batch": 2, "window": 50, "causal": True},
    ),
    Probe("window 7, kv_heads 2 of 6", {**GROUPED, "n": 33, "window": 7, "causal": True}),
    Probe("window 7, valid_lens by batch", {**SMALL, "window": 7, "valid_lens": "batch_ends"}),
    Probe("window 7, causal, border needle", {**SMALL, "window": 7, "causal": True}, "border needle"),
)
SOFTCAPS = (
    Probe("softcap 2", {**SMALL, "softcap": 2.0}, quick=True),
    Probe("softcap 2, scale 1, causal", {**SMALL, "softcap": 2.0, "scale": 1.0, "causal": True}, quick=True),
    Probe("softcap 30, large logits", {**SMALL, "softcap": 30.0}, "large logits", quick=True),
    Probe("softcap 50, huge logits", {**SMALL, "softcap": 50.0}, "huge logits"),
    Probe("softcap 2, valid_lens by row", {**SMALL, "softcap": 2.0, "valid_lens": "rows"}),
    Probe("softcap 2, kv_heads 2 of 6", {**GROUPED, "n": 33, "softcap": 2.0}),
    Probe("softcap 2, window 7, causal", {**SMALL, "softcap": 2.0, "window": 7, "causal": True}),
)
BIASED = (
    Probe("bias by head", {**SMALL, "bias": "heads"}, quick=True),
    Probe("bias by batch and head, causal", {**SMALL, "bias": "batch", "causal": True}, quick=True),
    Probe("bias by head, n_q 20, n_k 65, causal", {**SMALL, "n_q": 20, "n_k": 65, "bias": "heads", "causal": True}),
    Probe(
        "bias by batch and head, one query",
        {"n_q": 1, "n_k": 300, "d": 64, "heads": 2, "batch": 2, "bias": "batch"},
    ),
    Probe("bias by head, kv_heads 2 of 6", {**GROUPED, "n": 33, "bias": "heads"}, quick=True),
    Probe("bias by batch and head, valid_lens by row", {**SMALL, "bias": "batch", "valid_lens": "rows_empty"}),
    Probe("bias by head, large logits", {**SMALL, "bias": "heads"}, "large logits"),
    Probe("bias by head, window 7", {**SMALL, "bias": "heads", "window": 7}),
    Probe("bias by head, softcap 2", {**SMALL, "bias": "heads", "softcap": 2.0}),
)
# Kinds that are quick's share of values.
QUICK = ("normal", "huge logits", "border needle", "shifted values", "large products")
PROBES = (
    *(Probe(kind, SMALL, kind, quick=kind in QUICK) for kind in VALUES),
    *(Probe(f"{kind}, causal", {**SMALL, "causal": True}, kind, quick=kind == "border needle") for kind in VALUES),
    *ONE_WAY,
    *SHAPES,
    *PAIRS,
    *WINDOWS,
    *SOFTCAPS,
    *BIASED,
    *(probe for probes in CROSSED.values() for probe in probes),
)
# Small enough to be called over a hundred times, so that an error in every hundredth call is met.
REPEATED = Probe("tiny", {"n": 6, "d": 8, "heads": 2})
