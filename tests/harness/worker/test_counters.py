"""What nsight-python found becomes rows with name, value, unit and kernel; what has no value is left out."""

from __future__ import annotations

from harness.worker import counters


def test_a_row_for_each_value_and_texts_where_they_are_texts():
    found = counters.rows(
        [
            {"Metric": "dram__bytes_read.sum", "AvgValue": 7, "Unit": "byte", "Kernel": "gemm"},
            {"Metric": "lts__t_sector_hit_rate.pct", "AvgValue": 50.0, "Unit": float("nan")},
            {"Metric": "nothing", "AvgValue": None},
            {"Metric": "undefined", "AvgValue": float("nan"), "Unit": "%"},
        ]
    )
    assert found == [
        {"name": "dram__bytes_read.sum", "value": 7.0, "unit": "byte", "kernel": "gemm"},
        {"name": "lts__t_sector_hit_rate.pct", "value": 50.0, "unit": "", "kernel": ""},
    ]
