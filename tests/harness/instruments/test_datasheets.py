"""A vendor's figures are found by the exact name of a device, and stand for no other."""

from __future__ import annotations

from harness.instruments import datasheets


def test_datasheets_differ_between_devices_and_leave_unknown_rates_out():
    sheets = datasheets.DATASHEETS
    assert sheets["NVIDIA H200"].bandwidth > sheets["NVIDIA H100 80GB HBM3"].bandwidth
    assert "bfloat16" not in sheets["Tesla V100-SXM2-16GB"].matmul
    assert "NVIDIA H200 NVL" not in sheets
    assert all(rate > 1e12 for sheet in sheets.values() for rate in sheet.matmul.values())
