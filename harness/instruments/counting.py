"""Operations counted as they are dispatched: formulas for products, one per output element of every other operator.

PyTorch's own counter has formulas for matrix products, but none for matrix-vector products or the CPU's fused
attention, ignores causal masks, and counts other operators as nothing, so that products in disguise go unseen.
"""

from __future__ import annotations

import functools
import math
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    # The named arguments that torch hands an operator.
    Named = dict[str, Any]


aten = torch.ops.aten
# Fused attention, forward and backward, with the arguments query, key, value and is_causal by name.
FUSED_FORWARD = frozenset(
    {
        aten._scaled_dot_product_flash_attention_for_cpu,  # noqa: SLF001
        aten._scaled_dot_product_flash_attention,  # noqa: SLF001
        aten._scaled_dot_product_efficient_attention,  # noqa: SLF001
        aten._scaled_dot_product_cudnn_attention,  # noqa: SLF001
    }
)
# scaled_dot_product_attention never sends is_causal with n_q != n_k here; PyTorch's bias subclass does, and means the
# lower right (torch/nn/attention/bias.py).
ALIGN_LAST = frozenset(
    {
        aten._scaled_dot_product_flash_attention,  # noqa: SLF001
        aten._scaled_dot_product_flash_attention_backward,  # noqa: SLF001
    }
)
FUSED_BACKWARD = frozenset(
    {
        aten._scaled_dot_product_flash_attention_for_cpu_backward,  # noqa: SLF001
        aten._scaled_dot_product_flash_attention_backward,  # noqa: SLF001
        aten._scaled_dot_product_efficient_attention_backward,  # noqa: SLF001
        aten._scaled_dot_product_cudnn_attention_backward,  # noqa: SLF001
    }
)
# The contracted length of products that PyTorch's counter leaves out is the last size of these arguments.
VECTOR_PRODUCTS = {aten.mv: 0, aten.addmv: 1, aten.addmv_: 1, aten.dot: 0, aten.vdot: 0}
# Operators that neither compute nor move data, though their schema doesn't say that they alias.
VIEWS = frozenset({aten._unsafe_view})  # noqa: SLF001
# Operators that reserve memory and write nothing.
RESERVATIONS = frozenset({aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided})
# Namespaces whose operators do one operation an output element unless a formula says otherwise.
TRANSPARENT = frozenset({"aten", "prims"})
# Prefixes of operators of those namespaces that do more than that inside, without a formula here.
HIDING = (
    *("_fft", "fft_", "linalg_", "_linalg", "_cdist", "cdist", "flex_attention"),
    *("_native_multi_head_attention", "_transformer_encoder_layer"),
)


@dataclass(frozen=True)
class OperationCount:
    """Hold what one call dispatched.

    `products` are the operations with a formula, `operations` adds one per output element of every other operator,
    `calls` is how many operators ran. `opaque` lists what hides work from the counter; with any, only a declaration
    can say what was done. `refused` where the call does not run while it is counted.
    """

    operations: int
    products: int
    calls: int
    by_operator: dict[str, int] = field(default_factory=dict)
    opaque: tuple[str, ...] = ()
    refused: bool = False

    @property
    def how(self) -> str:
        """Return counted, or declared where something hid from the counter."""
        return "declared" if self.opaque else "counted"


def count(call: Callable[[], Any]) -> OperationCount:
    """Run a call once and count its operations; works on real tensors of any device and on meta tensors.

    Compiled code runs as it was written. The call is one that runs otherwise: where it refuses to while it is watched,
    as operators do that take functions (flex_attention), it is opaque.
    """
    counter, refused = _Counter(), False
    try:
        with _uncompiled(), counter:
            result = call()
        counter.check_outputs(result)
    except RuntimeError as error:
        refused = True
        first = str(error).strip().split("\n")[0][:200]
        counter.opaque.add(f"it refuses to run while operators are counted ({type(error).__name__}: {first})")
    return OperationCount(
        operations=sum(counter.by_operator.values()),
        products=counter.products,
        calls=counter.calls,
        by_operator=dict(sorted(counter.by_operator.items())),
        opaque=tuple(sorted(counter.opaque)),
        refused=refused,
    )


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Set compiled code aside; the compiler would find itself watched, and refuse the function from then on."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with warnings.catch_warnings(), torch.compiler.set_stance("force_eager"):
        # flex_attention warns of being slow when it isn't compiled.
        warnings.simplefilter("ignore")
        yield


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count each operator, and notice buffers that are filled where no operator is seen to write."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.by_operator: dict[str, int] = {}
        self.products = 0
        self.calls = 0
        self.opaque: set[str] = set()
        self._written: dict[int, bool] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Let torch not import its compiler, a second, only to keep it out of what is counted: nothing is compiled."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if not isinstance(func, torch._ops.OpOverload):  # noqa: SLF001
            self.opaque.add(f"{func} is no single operator")
            return func(*args, **named)
        if _may_be_composite(func):
            with self:
                # Composite operators arrive whole under inference mode; their parts are what runs.
                parts = func.decompose(*args, **named)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **named)
        self._follow_buffers(func, args, named, out)
        self._add(func, args, named, out)
        return out

    def check_outputs(self, result: Any) -> None:
        """Note results that no operator was seen to write."""
        for tensor in _tensors(result):
            if not self._written.get(_storage(tensor), False):
                self.opaque.add("its result is written by nothing that dispatches operators")

    def _add(self, func: Any, args: tuple[Any, ...], named: Named, out: Any) -> None:
        packet, name = func.overloadpacket, str(func.overloadpacket)
        if packet in RESERVATIONS or _is_view(func):
            return
        self.calls += 1
        formula = _formula(func, args, named, out)
        if formula is not None:
            self.products += formula
            self.by_operator[name] = self.by_operator.get(name, 0) + formula
            return
        if func.namespace not in TRANSPARENT or name.rsplit(".", maxsplit=1)[-1].startswith(HIDING):
            self.opaque.add(f"{name} hides its work")
        elements = sum(tensor.numel() for tensor in _tensors(out))
        self.by_operator[name] = self.by_operator.get(name, 0) + elements

    def _follow_buffers(self, func: Any, args: tuple[Any, ...], named: Named, out: Any) -> None:
        """Mark storages as written by what writes them; a read of one that is only reserved was written unseen."""
        if _is_view(func):
            return
        names, written = _arguments(func)
        for name, value in [*zip(names, args, strict=False), *named.items()]:
            for tensor in _tensors(value):
                if name in written:
                    self._written[_storage(tensor)] = True
                elif self._written.get(_storage(tensor), True) is False and tensor.numel():
                    self.opaque.add(f"{func.overloadpacket} reads what nothing that dispatches operators has written")
        is_reservation = func.overloadpacket in RESERVATIONS
        for tensor in _tensors(out):
            self._written[_storage(tensor)] = not is_reservation or tensor.numel() == 0


def _formula(func: Any, args: tuple[Any, ...], named: Named, out: Any) -> int | None:
    """Return the operations of a product, None for other operators."""
    packet = func.overloadpacket
    if packet in FUSED_FORWARD or packet in FUSED_BACKWARD:
        named_arguments = dict(zip(_arguments(func)[0], args, strict=False)) | named
        return _fused(named_arguments, backward=packet in FUSED_BACKWARD, aligns_last=packet in ALIGN_LAST)
    if packet in VECTOR_PRODUCTS:
        return 2 * int(args[VECTOR_PRODUCTS[packet]].numel())
    if packet in flop_registry:
        return int(flop_registry[packet](*args, **named, out_val=out))
    return None


def _fused(arguments: Mapping[str, Any], *, backward: bool, aligns_last: bool = False) -> int:
    """Count fused attention: two products over attended pairs forward, five backward, the scores recomputed.

    A causal kernel is taken to skip masked pairs: FlashAttention-2 (arXiv 2307.08691), section 3.1.1.
    """
    query, key, value = arguments["query"], arguments["key"], arguments["value"]
    n_q, n_k = query.shape[-2], key.shape[-2]
    # The operators' own is_causal aligns the first query with the first key, FlashAttention's on CUDA the last two.
    shift = n_k - n_q if aligns_last else 0
    rows = range(n_q)
    per_head = sum(max(0, min(row + 1 + shift, n_k)) for row in rows) if arguments.get("is_causal") else n_q * n_k
    pairs = math.prod(query.shape[:-2]) * per_head
    d, d_v = query.shape[-1], value.shape[-1]
    return int(2 * pairs * (3 * d + 2 * d_v) if backward else 2 * pairs * (d + d_v))


@functools.cache
def _may_be_composite(func: Any) -> bool:
    """Tell whether an operator without a formula may be made of others; asked once, since a loop dispatches many."""
    packet = func.overloadpacket
    if packet in flop_registry or packet in FUSED_FORWARD or packet in FUSED_BACKWARD:
        return False
    return bool(func._can_decompose())  # noqa: SLF001


@functools.cache
def _arguments(func: Any) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the names of an operator's arguments, and those that it writes."""
    arguments = func._schema.arguments  # noqa: SLF001
    writes = {a.name for a in arguments if a.alias_info is not None and a.alias_info.is_write}
    return tuple(a.name for a in arguments), frozenset(writes)


@functools.cache
def _is_view(func: Any) -> bool:
    returns = func._schema.returns  # noqa: SLF001
    aliases = [value.alias_info for value in returns if value.alias_info is not None]
    return func.overloadpacket in VIEWS or (bool(aliases) and not any(alias.is_write for alias in aliases))


def _tensors(value: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _storage(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)  # noqa: SLF001


# The base point, the sizes of the axis, and axes tied to it: each is its number divided by the size.
Sweep = tuple[dict[str, int], tuple[int, ...], dict[str, int]]
