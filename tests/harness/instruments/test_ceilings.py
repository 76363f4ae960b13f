"""Ceilings are measured here, cached bandwidth is granted to what fits a cache, and the unknown stays unknown."""

from __future__ import annotations

import pytest
import torch

from harness.instruments import ceilings, datasheets
from harness.machine import roofline
from harness.records import Ceiling
from harness.runner.steps import machine

MATMUL = Ceiling(name="matmul float32", value=1e11, unit="FLOP/s", how="given")
MEMORY = Ceiling(name="memory copy", value=1e10, unit="B/s", how="given")
CACHE = Ceiling(name="L3 copy", value=1e11, unit="B/s", how="given", within_bytes=2**25)


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


NAMES = (
    *("NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe", "NVIDIA H100 NVL", "NVIDIA H200", "NVIDIA H200 NVL"),
    *("NVIDIA GH200 480GB", "NVIDIA GH200 144G HBM3e", "NVIDIA B200"),
    *("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 5090"),
    *("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "NVIDIA RTX PRO 6000 Blackwell Server Edition"),
    *("NVIDIA L40S", "NVIDIA A10", "NVIDIA L4", "Tesla T4"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_card_has_its_datasheet_by_the_name_that_its_driver_gives(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: name)
    sheet = datasheets.datasheet("cuda:0")
    assert sheet.source.startswith("NVIDIA ")
    # GDDR of ten years ago to eight stacks of HBM3e; a product in 16 bit is never slower than in float32.
    assert 3e11 <= sheet.bandwidth <= 8e12
    assert sheet.matmul.get("float16", sheet.matmul["float32"]) >= sheet.matmul["float32"]


def test_a_card_that_is_not_listed_has_no_datasheet(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA H1000")
    assert datasheets.datasheet("cuda:0") is None


def test_datasheets_differ_between_devices_and_leave_unknown_rates_out():
    sheets = datasheets.DATASHEETS
    assert sheets["NVIDIA H200"].bandwidth > sheets["NVIDIA H100 80GB HBM3"].bandwidth
    assert "bfloat16" not in sheets["Tesla V100-SXM2-16GB"].matmul
    assert sheets["NVIDIA H200 NVL"].matmul["bfloat16"] < sheets["NVIDIA H200"].matmul["bfloat16"]
    assert "float16" not in sheets["NVIDIA RTX PRO 6000 Blackwell Server Edition"].matmul
    assert all(rate > 1e12 for sheet in sheets.values() for rate in sheet.matmul.values())


def test_even_without_time_there_are_three_samples():
    calls = 0

    def call():
        nonlocal calls
        calls += 1

    samples = ceilings.sample(call, device=torch.device("cpu"), seconds=0.0)
    assert len(samples) == ceilings.CALLS_AT_LEAST
    assert calls >= ceilings.CALLS_AT_LEAST + ceilings.CALLS_UNTIMED


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


def test_a_ceiling_that_moved_is_a_warning():
    lines = machine.ceiling_warnings(
        [MATMUL, MEMORY], [MATMUL.model_copy(update={"value": 0.8e11}), MEMORY], at_least=0.05
    )
    assert len(lines) == 1
    assert "matmul float32 fell by 20%" in lines[0]
    assert machine.ceiling_warnings([MATMUL], [MATMUL.model_copy(update={"value": 1.04e11})], at_least=0.05) == []
    assert "rose" in machine.ceiling_warnings([MATMUL], [MATMUL.model_copy(update={"value": 2e11})], at_least=0.05)[0]
