"""The least time that ceilings allow: cached bandwidth is granted to what fits a cache, the unknown stays unknown."""

from __future__ import annotations

import pytest

from harness.machine import roofline
from harness.records import Ceiling

MATMUL = Ceiling(name="matmul float32", value=1e11, unit="FLOP/s", how="given")
MEMORY = Ceiling(name="memory copy", value=1e10, unit="B/s", how="given")
CACHE = Ceiling(name="L3 copy", value=1e11, unit="B/s", how="given", within_bytes=2**25)


def test_the_roofline_is_the_slower_of_arithmetic_and_memory():
    known = [MATMUL, MEMORY]
    assert roofline.roofline_seconds(10**11, 1, known, "float32") == 1.0
    assert roofline.roofline_seconds(1, 10**10, known, "float32") == 1.0


def test_what_fits_a_cache_may_use_its_bandwidth_when_hot():
    known = [MATMUL, MEMORY, CACHE]
    fits = 2**25
    assert roofline.roofline_seconds(1, fits, known, "float32") == fits / 1e11
    assert roofline.roofline_seconds(1, fits + 1, known, "float32") == (fits + 1) / 1e10
    assert roofline.roofline_seconds(1, fits, known, "float32", cache="cold") == fits / 1e10


@pytest.mark.parametrize("known", [[], [MATMUL], [MEMORY], [MATMUL, CACHE]])
def test_a_missing_ceiling_gives_no_roofline(known):
    assert roofline.roofline_seconds(1, 2**30, known, "float32") is None


def test_another_dtypes_rate_is_never_used():
    assert roofline.roofline_seconds(1, 1, [MATMUL, MEMORY], "bfloat16") is None


def test_what_fits_several_caches_may_use_the_fastest():
    near = Ceiling(name="L2 copy", value=4e11, unit="B/s", how="given", within_bytes=2**20)
    known = [MATMUL, MEMORY, CACHE, near]
    assert roofline.roofline_seconds(1, 2**20, known, "float32") == 2**20 / 4e11
    assert roofline.roofline_seconds(1, 2**21, known, "float32") == 2**21 / 1e11


def test_a_generator_of_ceilings_will_do_and_no_work_takes_no_time():
    assert roofline.roofline_seconds(10**11, 10**10, iter([MATMUL, MEMORY]), "float32") == 1.0
    assert roofline.roofline_seconds(0, 0, [MATMUL, MEMORY], "float32") == 0.0


def test_the_rate_of_a_dtype_is_its_own_or_unknown():
    half = Ceiling(name="matmul float16", value=4e11, unit="FLOP/s", how="given")
    assert roofline.matmul_rate([MEMORY, half, MATMUL], "float32") == 1e11
    assert roofline.matmul_rate([MEMORY, half], "float16") == 4e11
    assert roofline.matmul_rate([MEMORY, half], "float32") is None
    assert roofline.matmul_rate([], "float32") is None
