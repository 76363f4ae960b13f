"""A device that is not here has the rates that its datasheet promises in part, and no others."""

from __future__ import annotations

import pytest

from harness.instruments.datasheets import DATASHEETS
from harness.worker.modelled import DEFAULT, MEMORY_BYTES, modelled_device


def test_rates_are_shares_of_the_datasheets_in_flops_and_bytes_per_second():
    device, sheet = modelled_device(), DATASHEETS[DEFAULT]
    assert device.name == DEFAULT
    assert set(device.rates) == {*sheet.matmul, "bytes"}
    assert device.rates["bfloat16"] == pytest.approx(0.7 * 989.5e12)
    assert device.rates["bytes"] == pytest.approx(0.85 * 3350e9)
    for dtype, rate in sheet.matmul.items():
        assert 0.0 < device.rates[dtype] < rate


def test_a_part_of_its_memory_is_not_free():
    assert modelled_device().free_bytes == int(0.9 * 80 * 2**30)


def test_a_device_without_a_datasheet_or_a_memory_size_is_refused():
    with pytest.raises(KeyError):
        modelled_device("NVIDIA H900")
    without_memory = next(name for name in DATASHEETS if name not in MEMORY_BYTES)
    with pytest.raises(KeyError):
        modelled_device(without_memory)
