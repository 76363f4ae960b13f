"""The recorder that a program's own Pythons load: it counts calls of attention, and appends each to a file.

It needs nothing but the standard library, and takes torch from the program, which may have another environment than
ours. A line of its file describes a kind of call, `{"kind": 3, "call": {...}}`, or is one call, `3`, or the gradient
that was taken of one, `3b`. Each is one write, so that a killed process loses nothing. Files are of one process each.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Sequence

# Elements of a mask that are looked at; of a larger one the answer would take longer than the program.
MASK_ELEMENTS_AT_MOST = 2**28
# Those of a scenario.
DTYPES = frozenset({"float32", "float64", "bfloat16", "float16"})
_inside = threading.local()


class Recorder:
    """The file of this process, and the kinds of calls that it has seen."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        self._open()

    def _open(self) -> None:
        self.descriptor: int | None = None
        self.kinds: dict[str, int] = {}

    def forked(self) -> None:
        """Go on in a child that was forked: with a file and a lock of its own."""
        self.lock = threading.Lock()
        self._open()

    def count(self, call: dict[str, object]) -> Callable[[], None]:
        """Write one call; return what to call when its gradient is taken."""
        text = json.dumps(call, sort_keys=True)
        with self.lock:
            known = self.kinds.get(text)
            if known is None:
                known = self.kinds[text] = len(self.kinds)
                self._write(json.dumps({"kind": known, "call": call}))
            self._write(str(known))
        taken: list[bool] = []

        def gradient() -> None:
            with self.lock:
                if not taken:
                    taken.append(True)
                    self._write(f"{known}b")

        return gradient

    def _write(self, line: str) -> None:
        # A process that outlives the recording finds no folder, and goes on as it would without.
        with contextlib.suppress(OSError):
            if self.descriptor is None:
                path = os.path.join(self.folder, f"calls-{os.getpid()}.txt")  # noqa: PTH118  # pathlib is slow to import
                self.descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
            os.write(self.descriptor, (line + "\n").encode())


def begin(folder: str) -> None:
    """Watch for the modules that offer attention, and record their calls into a folder."""
    recorder = Recorder(folder)
    os.register_at_fork(after_in_child=recorder.forked)
    # That this program's Python loaded the recorder at all.
    with open(os.path.join(folder, f"began-{os.getpid()}"), "w", encoding="utf-8"):  # noqa: PTH118, PTH123
        pass
    sys.meta_path.insert(0, Watcher(recorder))


class Watcher(importlib.abc.MetaPathFinder):
    """Changes modules that offer attention right after they are imported."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec that Python would have found, its loader followed by the change; None for other modules."""
        change = CHANGES.get(fullname)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target) if change else None
        if change is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            execute(module)
            change(module, self.recorder)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # on this loader alone
        return spec


def change_functional(module: Any, recorder: Recorder) -> None:
    """Record torch.nn.functional's scaled_dot_product_attention."""
    original = module.scaled_dot_product_attention

    @functools.wraps(original)
    def scaled_dot_product_attention(query: Any, key: Any, value: Any, *more: Any, **words: Any) -> Any:
        given = dict(zip(("attn_mask", "dropout_p", "is_causal"), more, strict=False)) | words
        bias = given.get("attn_mask")
        call = functools.partial(original, query, key, value, *more, **words)
        if type(bias).__name__ == "CausalBias":
            # It looks for the very function that a program calls, which is another now.
            kind: Any = type(bias)
            call = functools.partial(kind._dispatch, query, key, value, **given)  # noqa: SLF001
        tensors = (query, key, value)
        return _recorded(recorder, call, lambda: _sdpa(query, key, value, **given), tensors=tensors, of="sdpa")

    module.scaled_dot_product_attention = scaled_dot_product_attention


def change_mha(module: Any, recorder: Recorder) -> None:  # noqa: ARG001
    """Have modules call what is recorded, in place of a path of their own that is written in C++."""
    module.set_fastpath_enabled(False)


def change_flex(module: Any, recorder: Recorder) -> None:
    """Record torch's flex_attention."""
    original = module.flex_attention

    @functools.wraps(original)
    def flex_attention(query: Any, key: Any, value: Any, *more: Any, **words: Any) -> Any:
        names = ("score_mod", "block_mask", "scale", "enable_gqa")
        given = dict(zip(names, more, strict=False)) | words
        return _recorded(
            recorder,
            lambda: original(query, key, value, *more, **words),
            lambda: _flex(query, key, value, create_mask=module.create_mask, **given),
            tensors=(query, key, value),
            of="flex",
        )

    module.flex_attention = flex_attention


def change_flash(module: Any, recorder: Recorder) -> None:
    """Record flash-attn's functions: those of three tensors wholly, others as calls that no scenario holds."""
    names = ("dropout_p", "softmax_scale", "causal", "window_size", "softcap", "alibi_slopes")
    described: dict[str, Callable[..., dict[str, object]]] = {
        "flash_attn_func": lambda q, k, v, *more, **words: _flash(
            q, k, v, **(dict(zip(names, more, strict=False)) | words)
        ),
        "flash_attn_qkvpacked_func": lambda qkv, *more, **words: _flash(
            *qkv.unbind(2), **(dict(zip(names, more, strict=False)) | words)
        ),
        "flash_attn_kvpacked_func": lambda q, kv, *more, **words: _flash(
            q, *kv.unbind(2), **(dict(zip(names, more, strict=False)) | words)
        ),
    }
    for name in ("flash_attn_varlen_func", "flash_attn_with_kvcache", "flash_attn_varlen_qkvpacked_func"):
        described[name] = functools.partial(_without_scenario, f"{name} of flash-attn")
    for name, describe in described.items():
        if hasattr(module, name):
            setattr(module, name, _followed(getattr(module, name), describe, recorder))


def _followed(original: Any, describe: Callable[..., dict[str, object]], recorder: Recorder) -> Any:
    @functools.wraps(original)
    def call(*tensors: Any, **words: Any) -> Any:
        return _recorded(
            recorder,
            lambda: original(*tensors, **words),
            lambda: describe(*tensors, **words),
            tensors=tensors[:3],
            of="flash-attn",
        )

    return call


CHANGES: dict[str, Callable[[Any, Recorder], None]] = {
    "torch.nn.functional": change_functional,
    "torch.backends.mha": change_mha,
    "torch.nn.attention.flex_attention": change_flex,
    "flash_attn.flash_attn_interface": change_flash,
}


def _recorded(
    recorder: Recorder,
    call: Callable[[], Any],
    describe: Callable[[], dict[str, object]],
    *,
    tensors: Sequence[Any],
    of: str,
) -> Any:
    """Make a call and count it; one that is made inside another is a part of it."""
    if getattr(_inside, "any", False):
        return call()
    _inside.any = True
    try:
        out = call()
        try:
            described = describe()
        except Exception as error:  # noqa: BLE001  # a program must not fail where it is recorded
            described = _without_scenario(f"it can't be described: {type(error).__name__}: {error}")
        gradient = recorder.count({"of": of, **described})
    finally:
        _inside.any = False
    first = out[0] if isinstance(out, tuple) else out
    if any(getattr(tensor, "requires_grad", False) for tensor in tensors) and getattr(first, "requires_grad", False):
        first.register_hook(lambda _: gradient())
    return out


def _without_scenario(reason: str, *_: Any, **__: Any) -> dict[str, object]:
    return {"left_out": reason}


def _sdpa(
    q: Any,
    k: Any,
    v: Any,
    *,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: Any = None,
    **_: Any,
) -> dict[str, object]:
    n_q, n_k = q.shape[-2], k.shape[-2]
    found: dict[str, object] = {"mask": "none"}
    is_bias = type(attn_mask).__name__ == "CausalBias"
    if is_causal or (is_bias and str(attn_mask.variant).endswith("UPPER_LEFT")):
        if n_q > 1 and n_q != n_k:
            return _without_scenario("causal of a rectangle, aligned at the first key")
        # One query that is aligned there sees the first key alone.
        found = {"mask": "causal", "causal": n_q > 1, "valid_lens": 1 if n_q == 1 < n_k else None}
    elif is_bias:
        found = {"mask": "causal", "causal": n_q > 1}
    elif attn_mask is not None:
        found = _mask_of(attn_mask, q, n_k)
    return _call(q, k, v, scale=scale, dropout=dropout_p, found=found)


def _flex(
    q: Any,
    k: Any,
    v: Any,
    *,
    create_mask: Any,
    score_mod: Any = None,
    block_mask: Any = None,
    scale: Any = None,
    **_: Any,
) -> dict[str, object]:
    if score_mod is not None:
        return _without_scenario("flex_attention whose scores are changed by a function")
    if block_mask is None:
        return _call(q, k, v, scale=scale, dropout=0.0, found={"mask": "none"})
    batch, heads = block_mask.kv_num_blocks.shape[:2]
    n_q, n_k = q.shape[-2], k.shape[-2]
    if batch * heads * n_q * n_k > MASK_ELEMENTS_AT_MOST:
        return _without_scenario("a block mask of more elements than are looked at")
    mask = create_mask(block_mask.mask_mod, batch, heads, n_q, n_k, device=q.device)
    return _call(q, k, v, scale=scale, dropout=0.0, found=_mask_of(mask, q, n_k))


def _flash(
    q: Any,
    k: Any,
    v: Any,
    *,
    dropout_p: float = 0.0,
    softmax_scale: Any = None,
    causal: bool = False,
    window_size: Any = (-1, -1),
    softcap: float = 0.0,
    alibi_slopes: Any = None,
    **_: Any,
) -> dict[str, object]:
    q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
    found: dict[str, object] = {"mask": "causal" if causal else "none", "causal": causal and q.shape[2] > 1}
    left, right = (-1 if side is None else side for side in window_size)
    if alibi_slopes is not None:
        return _without_scenario("flash-attn with ALiBi")
    if not causal and left != right:
        if right != 0:
            return _without_scenario("a window that is not as wide on both sides")
        found["causal"] = q.shape[2] > 1
    if left >= 0:
        found |= {"mask": "window", "window": left + 1}
    if softcap:
        found["softcap"] = softcap
    return _call(q, k, v, scale=softmax_scale, dropout=dropout_p, found=found)


def _call(q: Any, k: Any, v: Any, *, scale: Any, dropout: float, found: dict[str, object]) -> dict[str, object]:
    """Describe a call of q [..., heads, n_q, d], k and v as a point of attention; `found` is of its mask."""
    if "left_out" in found:
        return found
    plain = {"Tensor", "Parameter"}
    if not plain.issuperset({type(tensor).__name__ for tensor in (q, k, v)}):
        return _without_scenario(f"tensors of the type {type(q).__name__}")
    shapes = [tuple(tensor.shape) for tensor in (q, k, v)]
    q, k, v = (tensor if tensor.ndim > 3 else tensor.reshape(-1, 1, *tensor.shape[-2:]) for tensor in (q, k, v))  # noqa: PLR2004
    if q.ndim > 4 or not q.shape[0] == k.shape[0] == v.shape[0] or k.shape[1] != v.shape[1] or q.shape[1] % k.shape[1]:  # noqa: PLR2004
        return _without_scenario(f"shapes {', '.join(map(str, shapes))}")
    dtype = str(q.dtype).partition(".")[2]
    if dtype not in DTYPES:
        return _without_scenario(f"tensors of {dtype}")
    found = dict(found)
    notes = [f"mask: {found.pop('mask')}", *([str(found.pop("note"))] if "note" in found else [])]
    point, d = _sizes(q, k, v), q.shape[3]
    point |= {name: value for name, value in found.items() if value}
    if scale is not None and abs(float(scale) * d**0.5 - 1) > 1e-6:  # noqa: PLR2004  # far below what a dtype tells
        point["scale"] = float(scale)
    layout = layout_of(q, k, v)
    if layout in {"bnhd", "packed"}:
        point["layout"] = layout
    elif layout != "bhnd":
        notes.append(f"{layout}, timed in order")
    if dropout:
        notes.append(f"dropout {dropout:g}, timed without")
    return {
        "point": point,
        "dtype": dtype,
        "device": q.device.type,
        "note": "; ".join(notes),
    }


def _sizes(q: Any, k: Any, v: Any) -> dict[str, object]:
    batch, heads, n_q, d = q.shape
    point: dict[str, object] = {"batch": batch, "heads": heads, "n_q": n_q, "n_k": k.shape[2], "d": d}
    if k.shape[1] != heads:
        point["kv_heads"] = k.shape[1]
    if v.shape[3] != d:
        point["d_v"] = v.shape[3]
    return point


def layout_of(q: Any, k: Any, v: Any) -> str:
    """Name how q, k and v [batch, heads, n, d] lie in memory: bhnd, bnhd, packed, or their strides."""
    tensors = (q, k, v)
    if all(tensor.is_contiguous() for tensor in tensors):
        return "bhnd"
    if all(tensor.transpose(1, 2).is_contiguous() for tensor in tensors):
        return "bnhd"
    buffers = {tensor.untyped_storage().data_ptr() for tensor in tensors}
    if len(buffers) == 1 and len({tensor.stride(2) for tensor in tensors}) == 1 and q.stride(3) == 1:
        elements = sum(tensor.shape[1] * tensor.shape[3] for tensor in tensors)
        if q.stride(2) == elements:
            return "packed"
    return "strides " + ", ".join(str(list(tensor.stride())) for tensor in tensors)


_seen: dict[int, tuple[Any, int, tuple[int, ...], dict[str, object]]] = {}


def _mask_of(mask: Any, q: Any, n_k: int) -> dict[str, object]:
    """Say what a mask allows, looking at its elements; the one that layers share is looked at once."""
    asked = (q.shape[0], q.shape[-2], n_k)
    known = _seen.get(id(mask))
    version = 0 if mask.is_inference() else mask._version  # noqa: SLF001
    if known is not None and known[0]() is mask and known[1:3] == (version, asked):
        return known[3]
    if mask.is_cuda and sys.modules["torch"].cuda.is_current_stream_capturing():
        return _without_scenario("a mask inside the capture of a CUDA graph, where no element can be read")
    found = classified(mask, batch=q.shape[0], n_q=q.shape[-2], n_k=n_k)
    if not mask.is_inference():
        _seen[id(mask)] = (weakref.ref(mask), version, asked, found)
    return found


def classified(mask: Any, *, batch: int, n_q: int, n_k: int) -> dict[str, object]:
    """Name what a mask [1 or batch, 1 or heads, n_q, n_k], boolean or additive, allows, as axes of attention.

    An additive one that is not 0 or lowest everywhere is a bias.
    """
    if mask.numel() > MASK_ELEMENTS_AT_MOST:
        return _without_scenario("a mask of more elements than are looked at")
    mask = mask.detach()
    mask = mask.reshape((1,) * (4 - mask.ndim) + tuple(mask.shape))
    if mask.is_floating_point():
        # Models write the lowest number of a dtype, or half of it, where others write -inf.
        lowest = mask <= -1e4  # noqa: PLR2004
        if not bool((lowest | (mask == 0)).all()):
            return {"mask": "additive", "bias": "heads" if mask.shape[0] == 1 else "batch"}
        mask = ~lowest
    if not bool((mask == mask[:, :1]).all()):
        return _without_scenario("a mask that differs by heads")
    allowed = mask[:, 0].expand(batch if mask.shape[0] == 1 else mask.shape[0], n_q, n_k)
    count = allowed.sum(-1)  # [batch, n_q]
    keys = allowed.new_ones(n_k).cumsum(0) - 1
    own = allowed.new_ones(n_q).cumsum(0) - 1 + n_k - n_q
    if bool((allowed == (keys < count[..., None])).all()):
        return _leading(count, own + 1, n_k=n_k)
    away, widest = own[:, None] - keys, int(count.max())
    for width, inside, causal in (
        (widest, (away >= 0) & (away < widest), True),
        ((widest + 1) // 2, away.abs() < (widest + 1) // 2, False),
    ):
        if bool((allowed == inside).all()):
            return {"mask": "written, window", "causal": causal, "window": width}
    return _without_scenario("a mask that is neither causal, nor a window, nor leading keys (padding on the left?)")


def _leading(count: Any, limit: Any, *, n_k: int) -> dict[str, object]:
    """Name a mask of so many leading keys [batch, n_q]; `limit` [n_q] has those of a causal one."""
    if bool((count == n_k).all()):
        return {"mask": "written, hides nothing", "note": "timed without a mask"}
    limit, lengths = limit.clamp(min=0), count.max(-1).values
    if bool((count == limit).all()):
        return {"mask": "written, causal", "causal": True}
    if bool((count == lengths[:, None]).all()):
        return {"mask": "written, lengths", **_lengths(lengths, n_k)}
    if bool((count == limit.minimum(lengths[:, None])).all()):
        return {"mask": "written, causal and lengths", "causal": True, **_lengths(lengths, n_k)}
    return {"mask": "written, lengths of rows", "valid_lens": "rows", "note": "timed with lengths of our own"}


def _lengths(lengths: Any, n_k: int) -> dict[str, object]:
    """Return one length for all, or that they vary by batch element."""
    first = int(lengths[0])
    if bool((lengths == first).all()):
        return {"valid_lens": first}
    mean = float(lengths.float().mean()) / n_k
    return {"valid_lens": "batch", "note": f"timed with lengths of our own; here {mean:.0%} of n_k on average"}
