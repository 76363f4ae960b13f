"""Ceilings are measured here, with the sizes that they were best at."""

from __future__ import annotations

import pytest
import torch

from harness.instruments import ceilings, datasheets
from harness.records import Ceiling
from tests.harness.machine.test_roofline import MATMUL


@pytest.fixture(scope="module")
def measured():
    return ceilings.measure("cpu", ["float32", "bfloat16", "float16"], seconds=0.2)


def test_every_dtype_and_the_memory_get_a_ceiling(measured):
    names = [ceiling.name for ceiling in measured]
    assert names[:5] == ["matmul float32", "matmul bfloat16", "matmul float16", "memory copy", "memory triad"]
    assert all(ceiling.value > 0 for ceiling in measured)


def test_rates_are_of_the_magnitude_that_processors_have(measured):
    by_name = {ceiling.name: ceiling for ceiling in measured}
    assert 1e8 < by_name["matmul float32"].value < 1e14
    assert 1e8 < by_name["memory copy"].value < 1e13


def test_a_processor_has_no_datasheet_figure(measured):
    assert all(ceiling.datasheet is None for ceiling in measured)
    assert datasheets.datasheet("cpu") is None


def test_a_dtype_far_below_float32_is_no_fast_path():
    slow = Ceiling(name="matmul float16", value=3e9, unit="FLOP/s", how="product")
    noted = ceilings._note_slow_dtypes([MATMUL, slow])
    assert "no fast path" in noted[1].how
    assert "no fast path" not in noted[0].how


@pytest.mark.parametrize(
    ("seconds", "sizes"), [(3.0, [256, 512, 1024, 2048]), (1.0, [256, 512, 1024]), (0.1, [256, 512])]
)
def test_a_size_that_would_take_a_third_of_the_time_for_all_is_not_tried(monkeypatch, seconds, sizes):
    tried = []

    def rate(_device, _dtype, size, **_):
        tried.append(size)
        return 1e11, 2 * size**3 / 1e11

    monkeypatch.setattr(ceilings, "_matmul_rate", rate)
    monkeypatch.setattr(ceilings, "_bandwidths", lambda *_, **__: [])
    ceilings.measure("cpu", ["float32"], seconds=seconds)
    assert tried == sizes


def test_even_without_time_there_are_three_samples():
    calls = 0

    def call():
        nonlocal calls
        calls += 1

    samples = ceilings.sample(call, device=torch.device("cpu"), seconds=0.0)
    assert len(samples) == ceilings.CALLS_AT_LEAST
    assert calls >= ceilings.CALLS_AT_LEAST + ceilings.CALLS_UNTIMED


@pytest.mark.parametrize(("taken_for", "waits"), [(0, 0), (3, 3), (99, ceilings.WAITS_AT_MOST)])
def test_cores_that_others_take_are_waited_for_and_not_for_ever(monkeypatch, taken_for, waits):
    slept = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(ceilings, "sleep", slept.append)
    monkeypatch.setattr(
        ceilings, "_product_seconds", lambda threads: 0.02 if threads > 1 and len(slept) < taken_for else 2e-4
    )
    ceilings._wait_for_cores(torch.device("cpu"))
    assert slept == [ceilings.WAIT_SECONDS] * waits


def test_asking_for_the_cores_leaves_the_threads_as_they_were():
    before = torch.get_num_threads()
    assert ceilings._product_seconds(1) > 0.0
    assert torch.get_num_threads() == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_reaches_most_of_its_datasheet():
    for ceiling in ceilings.measure("cuda", ["bfloat16"], seconds=2.0):
        if ceiling.datasheet is not None:
            assert 0.3 < ceiling.value / ceiling.datasheet < 1.1


def test_the_best_rates_and_the_memory_are_measured_again_with_their_sizes(measured):
    found = ceilings.remeasure("cpu", measured, seconds=0.1)
    assert [ceiling.name for ceiling in found] == [
        "matmul float32",
        "matmul bfloat16",
        "matmul float16",
        "memory copy",
    ]
    before = {ceiling.name: ceiling for ceiling in measured}
    assert all(ceiling.size == before[ceiling.name].size and ceiling.value > 0 for ceiling in found)
    assert any(ceiling.value != before[ceiling.name].value for ceiling in found)
