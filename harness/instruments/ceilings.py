"""Ceilings: the machine's own matrix-product rates and memory bandwidth, with datasheet figures beside them."""

from __future__ import annotations

import functools
import math
import mmap
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import TYPE_CHECKING

import torch

from harness.instruments import memory, timing
from harness.instruments.datasheets import datasheet
from harness.machine import processor
from harness.records import TF32, Ceiling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


# Small sizes stay in a core's cache, large ones fill every core: the best rate lies somewhere on the ladder.
LADDER_CPU = (256, 512, 1024, 2048)
LADDER_CUDA = (1024, 2048, 4096, 8192)
# A dtype without its own kernels needs 43 s for a product of size 2048 (float16 on a processor without AVX512-FP16):
# a size whose calls would take longer than this share of the seconds for all is not tried.
SIZE_SHARE_AT_MOST = 1 / 3
# Past the peak a larger size only falls further; half of the best is past it.
FALLEN = 0.5
# Below this share of float32's rate a dtype is computed by conversion or scalar code.
NO_FAST_PATH = 0.25
# The tenth percentile: what the machine reaches repeatedly, without the luck of the single fastest call.
QUANTILE = 0.1
CALLS_AT_LEAST = 3
# On a virtual machine the same copy runs at 44 or at 76 GB/s for seconds at a time: the best of a few passes over all
# that is measured is likelier to be what the machine reaches.
PASSES = 3
# One loads kernels and touches pages, one says how many make a block.
CALLS_UNTIMED = 2
# A block of 1 ms keeps the gap between CUDA events, about 2 us, out of the figure; a CPU's timer needs far less.
BLOCK_SECONDS_CUDA = 1e-3
BLOCK_SECONDS_CPU = 1e-4
# A copy of buffers of four times the last-level cache moves eight times what it holds (STREAM asks for arrays of four).
CACHES_PER_BUFFER = 4
# Source and target together fill half of a cache, which leaves room for everything else in it.
BUFFERS_PER_CACHE = 4
# Where the size of the caches is unknown: more than any common last-level cache, divided by four.
BUFFER_BYTES_UNKNOWN = 256 * 2**20
BUFFER_SHARE_OF_MEMORY = 1 / 16
# Bytes of a float32.
ITEM = 4
# Where two threads get one core, as others take the rest, they wait for each other: a product took 200 times as long in
# the first seconds after packages had been installed. On free cores one this small takes no longer on all than on one.
PROBE_SIZE, PROBE_CALLS = 256, 9
TAKEN = 2.0
WAIT_SECONDS, WAITS_AT_MOST = 0.5, 10


def measure(device: str, dtypes: Iterable[str], *, seconds: float) -> list[Ceiling]:
    """Measure the matrix-product rate of each dtype and the bandwidth of memory and caches, in about `seconds`.

    Threads and precision settings are those of the calling process.
    """
    wanted = list(dict.fromkeys(dtypes))
    target = torch.device(device)
    share = seconds / (len(wanted) + 1)
    with torch.inference_mode():
        _wait_for_cores(target)
        at_most = SIZE_SHARE_AT_MOST * seconds
        rates = [_matmul(target, dtype, seconds=share, at_most=at_most) for dtype in wanted]
        if target.type == "cuda" and "float32" in wanted:
            rates.append(_matmul_tf32(target, rates, seconds=share / len(LADDER_CUDA)))
        _wait_for_cores(target)
        found = _note_slow_dtypes(rates) + _bandwidths(target, seconds=share)
    if target.type == "cuda":
        torch.cuda.empty_cache()
    return found


def _wait_for_cores(device: torch.device) -> None:
    """Wait, some seconds at most, while a product takes far longer on all threads than on one."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        return
    for _ in range(WAITS_AT_MOST):
        if _product_seconds(threads) <= TAKEN * _product_seconds(1):
            return
        sleep(WAIT_SECONDS)


def _product_seconds(threads: int) -> float:
    """Return the median seconds of a small product on so many threads."""
    before = torch.get_num_threads()
    left = torch.ones(PROBE_SIZE, PROBE_SIZE)
    torch.set_num_threads(threads)
    try:
        left @ left
        samples = []
        for _ in range(PROBE_CALLS):
            started = perf_counter()
            left @ left
            samples.append(perf_counter() - started)
    finally:
        torch.set_num_threads(before)
    return sorted(samples)[PROBE_CALLS // 2]


def remeasure(device: str, known: Sequence[Ceiling], *, seconds: float) -> list[Ceiling]:
    """Measure matrix-product rates and the copy bandwidth of memory again, with the sizes that were best before."""
    target = torch.device(device)
    # The rate in TF32 has no size: it is a limit and is measured once.
    wanted = [ceiling for ceiling in known if ceiling.size and ceiling.name.startswith(("matmul ", "memory copy"))]
    best: dict[str, float] = {}
    copied = {ceiling.name: _fresh_pair(ceiling.size or 0, target) for ceiling in wanted if ceiling.unit == "B/s"}
    with torch.inference_mode():
        for ceiling in [*wanted] * PASSES:
            share = seconds / (PASSES * len(wanted))
            if ceiling.unit == "FLOP/s":
                value = _matmul_rate(target, ceiling.name.removeprefix("matmul "), ceiling.size or 0, seconds=share)[0]
            else:
                value = _copy_bandwidth(copied[ceiling.name], seconds=share)
            best[ceiling.name] = max(value, best.get(ceiling.name, 0.0))
    copied.clear()
    found = [ceiling.model_copy(update={"value": best[ceiling.name]}) for ceiling in wanted]
    if target.type == "cuda":
        torch.cuda.empty_cache()
    return found


def _fresh_pair(size: int, device: torch.device) -> Buffers:
    source, target = (_fresh(size, device) for _ in range(2))
    return Buffers(source, source, target)


def _fresh(size: int, device: torch.device) -> torch.Tensor:
    """Return ones in new memory: pages of a heap that a run has used lie scattered, and copying them is slower."""
    if device.type != "cpu":
        return torch.ones(size // ITEM, device=device)
    return torch.frombuffer(mmap.mmap(-1, size), dtype=torch.float32).fill_(1.0)


def _matmul_rate(device: torch.device, dtype: str, size: int, *, seconds: float) -> tuple[float, float]:
    """Return FLOP/s and seconds of a product of two square matrices."""
    left, right = (torch.randn(size, size, device=device).to(getattr(torch, dtype)) for _ in range(2))
    multiply = functools.partial(torch.mm, left, right, out=torch.empty_like(left))
    call = _quantile(sample(multiply, device=device, seconds=seconds))
    return 2 * size**3 / call, call


def _matmul(device: torch.device, dtype: str, *, seconds: float, at_most: float) -> Ceiling:
    """Climb the ladder of square matrix products and keep the best rate; no size takes more than `at_most` seconds."""
    ladder = LADDER_CUDA if device.type == "cuda" else LADDER_CPU
    best, best_size, last = 0.0, 0, 0.0
    for size in ladder:
        rate, call = _matmul_rate(device, dtype, size, seconds=seconds / len(ladder))
        if rate > best:
            best, best_size = rate, size
        # Eight times the work, or worse where time already grew faster than the work.
        growth = max(8.0, call / last) if last else 8.0
        if rate < FALLEN * best or (CALLS_AT_LEAST + CALLS_UNTIMED) * growth * call > at_most:
            break
        last = call
    sheet = datasheet(str(device))
    return Ceiling(
        name=f"matmul {dtype}",
        value=best,
        unit="FLOP/s",
        how=f"product of two random {best_size} x {best_size} matrices, the best of {_words(ladder)}",
        datasheet=sheet.matmul.get(dtype) if sheet else None,
        size=best_size,
    )


def _matmul_tf32(device: torch.device, rates: Sequence[Ceiling], *, seconds: float) -> Ceiling:
    """Measure float32 products on tensor cores, which kernels may use in parts that add up to float32's precision."""
    size = next(ceiling.size for ceiling in rates if ceiling.name == "matmul float32") or LADDER_CUDA[-1]
    setting = torch.backends.cuda.matmul
    before = setting.fp32_precision
    setting.fp32_precision = "tf32"
    try:
        rate, _ = _matmul_rate(device, "float32", size, seconds=seconds)
    finally:
        setting.fp32_precision = before
    how = f"product of two random {size} x {size} float32 matrices in TF32; a limit, and no ceiling of float32"
    return Ceiling(name=TF32, value=rate, unit="FLOP/s", how=how)


def _note_slow_dtypes(rates: list[Ceiling]) -> list[Ceiling]:
    """Say of a dtype far below float32 that it has no fast path here, so that nobody reads it as a ceiling."""
    single = next((ceiling.value for ceiling in rates if ceiling.name == "matmul float32"), math.inf)
    return [
        ceiling.model_copy(update={"how": f"{ceiling.how}; no fast path for this dtype here"})
        if single < math.inf and ceiling.value < NO_FAST_PATH * single
        else ceiling
        for ceiling in rates
    ]


def _bandwidths(device: torch.device, *, seconds: float) -> list[Ceiling]:
    """Measure copies and triads far larger than the caches, then copies within each cache."""
    cache_bytes = _caches(device)
    largest = processor.last_level_bytes() if device.type == "cpu" else max(cache_bytes.values(), default=0)
    wanted = CACHES_PER_BUFFER * largest or BUFFER_BYTES_UNKNOWN
    size = min(wanted, int(BUFFER_SHARE_OF_MEMORY * memory.free_bytes(device)))
    # Written once: pages never written all map to one page of zeros, which is read from the first cache.
    buffers = Buffers(*(torch.ones(size // ITEM, device=device) for _ in range(3)))
    share = seconds / (2 + len(cache_bytes))
    sheet = datasheet(str(device))
    cache = f"last-level cache {_binary(largest)}" if largest else "the caches' size is unknown"
    kinds = {"copy": _copy_bandwidth, "triad": _triad_bandwidth}
    rates = dict.fromkeys(kinds, 0.0)
    for kind in [*kinds] * PASSES:
        rates[kind] = max(rates[kind], kinds[kind](buffers, seconds=share / PASSES))
    found = [
        Ceiling(
            name=f"memory {kind}",
            value=rates[kind],
            unit="B/s",
            how=f"{kind} of buffers of {_binary(size)}; {cache}",
            datasheet=sheet.bandwidth if sheet else None,
            size=size,
        )
        for kind in kinds
    ]
    for name, capacity in cache_bytes.items():
        within = buffers.first(capacity // BUFFERS_PER_CACHE)
        found.append(
            Ceiling(
                name=f"{name} copy",
                value=_copy_bandwidth(within, seconds=share),
                unit="B/s",
                how=f"copy of buffers of {_binary(capacity // BUFFERS_PER_CACHE)}, which stay in the {name} cache",
                within_bytes=capacity,
                size=capacity // BUFFERS_PER_CACHE,
            )
        )
    return found


@dataclass(frozen=True)
class Buffers:
    """Three float32 arrays of one length: two sources, one target."""

    left: torch.Tensor
    right: torch.Tensor
    target: torch.Tensor

    def first(self, size: int) -> Buffers:
        """Return their first `size` bytes."""
        end = max(1, size // ITEM)
        return Buffers(self.left[:end], self.right[:end], self.target[:end])


# Bandwidths count as STREAM counts (McCalpin 1995): each array read or written once, no write-allocate traffic.
def _copy_bandwidth(buffers: Buffers, *, seconds: float) -> float:
    """Return bytes/s of target = left."""
    moved = 2 * buffers.target.nbytes
    call = functools.partial(buffers.target.copy_, buffers.left)
    if buffers.target.device.type == "cuda":
        # A kernel, as implementations run: copy_ is the driver's copy, which takes longer to launch than L2 to fill.
        call = functools.partial(torch.add, buffers.left, 1.0, out=buffers.target)
    return moved / _quantile(sample(call, device=buffers.target.device, seconds=seconds))


def _triad_bandwidth(buffers: Buffers, *, seconds: float) -> float:
    """Return bytes/s of target = left + 2 * right."""
    moved = 3 * buffers.target.nbytes
    call = functools.partial(torch.add, buffers.left, buffers.right, alpha=2.0, out=buffers.target)
    return moved / _quantile(sample(call, device=buffers.target.device, seconds=seconds))


def sample(call: Callable[[], object], *, device: torch.device, seconds: float) -> list[float]:
    """Time a call repeatedly for about `seconds`, three times at least; seconds per call, one sample per block."""
    clock = timing.clock_for(device, cold=False)
    block = BLOCK_SECONDS_CUDA if device.type == "cuda" else BLOCK_SECONDS_CPU
    clock.block(call, 1)
    calls = max(1, math.ceil(block / max(clock.block(call, 1).seconds, 1e-9)))
    samples: list[float] = []
    started = perf_counter()
    while len(samples) < CALLS_AT_LEAST or perf_counter() - started < seconds:
        samples.append(clock.block(call, calls).seconds)
    return samples


def _caches(device: torch.device) -> dict[str, int]:
    """Return the bytes of a device's caches from L2 on; on a CPU, L2 is one core's."""
    if device.type == "cuda":
        return {"L2": int(torch.cuda.get_device_properties(device).L2_cache_size)}
    if device.type == "cpu":
        return {name: size for name, size in processor.caches().items() if name in {"L2", "L3"}}
    return {}


def _quantile(samples: list[float]) -> float:
    return sorted(samples)[int(QUANTILE * len(samples))]


def _binary(size: int) -> str:
    return f"{size / 2**20:.0f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"


def _words(sizes: tuple[int, ...]) -> str:
    return ", ".join(str(size) for size in sizes)
