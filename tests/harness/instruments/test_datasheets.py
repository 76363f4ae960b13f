"""A vendor's figures are found by the exact name of a device, and stand for no other."""

from __future__ import annotations

import pytest
import torch

from harness.instruments import datasheets

NAMES = (
    *("NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe", "NVIDIA H100 NVL", "NVIDIA H200", "NVIDIA H200 NVL"),
    *("NVIDIA GH200 480GB", "NVIDIA GH200 144G HBM3e", "NVIDIA B200"),
    *("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 5090"),
    *("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "NVIDIA RTX PRO 6000 Blackwell Server Edition"),
    *("NVIDIA L40S", "NVIDIA A10", "NVIDIA L4", "Tesla T4"),
)


def test_datasheets_differ_between_devices_and_leave_unknown_rates_out():
    sheets = datasheets.DATASHEETS
    assert sheets["NVIDIA H200"].bandwidth > sheets["NVIDIA H100 80GB HBM3"].bandwidth
    assert "bfloat16" not in sheets["Tesla V100-SXM2-16GB"].matmul
    assert sheets["NVIDIA H200 NVL"].matmul["bfloat16"] < sheets["NVIDIA H200"].matmul["bfloat16"]
    assert "float16" not in sheets["NVIDIA RTX PRO 6000 Blackwell Server Edition"].matmul
    assert all(rate > 1e12 for sheet in sheets.values() for rate in sheet.matmul.values())


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


@pytest.mark.parametrize(
    ("name", "half", "bandwidth"),
    [
        ("NVIDIA H100 80GB HBM3", 989.5e12, 3350e9),
        ("NVIDIA A100-SXM4-40GB", 312e12, 1555e9),
        ("Tesla T4", 65e12, 320e9),
    ],
)
def test_figures_are_in_flops_and_bytes_per_second(monkeypatch, name, half, bandwidth):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: name)
    found = datasheets.datasheet("cuda:0")
    assert found.matmul["float16"] == pytest.approx(half)
    assert found.bandwidth == pytest.approx(bandwidth)
    assert "datasheet" in found.source


@pytest.mark.parametrize("name", ["NVIDIA H100 80GB HBM2e", "nvidia h100 80gb hbm3", "", "GPU"])
def test_a_device_that_is_like_a_listed_one_is_unknown(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: name)
    assert datasheets.datasheet("cuda:1") is None


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_what_is_no_gpu_is_not_asked_for_its_name(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: pytest.fail("asked"))
    assert datasheets.datasheet(device) is None


def test_rates_are_without_sparsity_and_no_narrow_dtype_is_slower_than_a_wider_one():
    for name, sheet in datasheets.DATASHEETS.items():
        rates = sheet.matmul
        half = rates.get("float16", 4 * rates["float32"])
        assert 1.5 < half / rates["float32"] <= 30, name
        assert rates.get("bfloat16", half) == half
        assert rates.get("float64", 0.0) <= rates["float32"]
        assert 1e11 < sheet.bandwidth < 1e13
