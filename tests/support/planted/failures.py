"""Planted implementations that fail, each in its own way; used with --impl-file."""

import ctypes
import os
import time

import torch

from attnbench import register

WORDS = ("causal", "valid_lens", "gqa", "d_v", "dead_rows")


def right(q, k, v, *, causal=False, scale=None, valid_lens=None):
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    return scores.softmax(-1) @ v


@register(problem="attention", name="planted-segfault")
def segfault(q, k, v, **options):
    if q.shape[2] >= 32:
        ctypes.string_at(0)
    return right(q, k, v, **options)


@register(problem="attention", name="planted-hang")
def hang(q, k, v, **options):
    if q.shape[2] >= 32:
        time.sleep(3600)
    return right(q, k, v, **options)


@register(problem="attention", name="planted-hog")
def hog(q, k, v, **options):
    held = []
    while q.shape[2] >= 32:
        held.append(torch.empty(2**28))
    return right(q, k, v, **options)


@register(problem="attention", name="planted-raise")
def raises(q, k, v, **options):
    if q.shape[2] >= 32:
        raise ValueError("a planted <b>mistake</b>")
    return right(q, k, v, **options)


@register(problem="attention", name="planted-exit")
def exits(q, k, v, **options):
    if q.shape[2] >= 32:
        os._exit(7)
    return right(q, k, v, **options)


@register(problem="attention", name="planted-wrong")
def wrong(q, k, v, **options):
    return right(q, k, v, **options) * 1.01


@register(problem="attention", name="planted-none")
def none(q, k, v, **options):
    return None


@register(problem="attention", name="planted-pretender", expects=("a_kernel_that_never_runs",))
def pretender(q, k, v, **options):
    return right(q, k, v, **options)


CACHE: dict = {}


@register(problem="attention", name="planted-cache")
def cached(q, k, v, **options):
    # Whoever asks again with the same memory gets the same answer, whatever is in it by now.
    key = (q.data_ptr(), k.data_ptr(), v.data_ptr(), q.shape)
    if q.shape[-2] != 32:
        return right(q, k, v, **options)
    if key not in CACHE:
        CACHE[key] = right(q, k, v, **options)
    return CACHE[key].clone()


@register(problem="attention", name="planted-clock")
def clock(q, k, v, **options):
    if q.shape[-2] == 32:
        time.perf_counter = time.monotonic = time.perf_counter_ns = lambda: 0
    return right(q, k, v, **options)


LATE: dict = {}


@register(problem="attention", name="planted-late")
def late(q, k, v, **options):
    # Right on the inputs that it is checked and warmed up on, wrong from the second visit's on, however many calls a
    # visit has time for.
    seen = LATE.setdefault(q.shape, set())
    seen.add(float(q.sum()))
    return right(q, k, v, **options) * (1.0 if len(seen) < 4 else 1.5)


@register(problem="attention", name="planted-right")
def fine(q, k, v, **options):
    return right(q, k, v, **options)
