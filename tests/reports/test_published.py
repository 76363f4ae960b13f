"""Figures that others published are set beside ours on the same device model alone, at the same work."""

from __future__ import annotations

import pytest

from harness.results.run import read_run
from reports import published
from reports.frame import frame
from tests.support import runs

H100 = "NVIDIA H100 80GB HBM3"


@pytest.fixture(scope="module")
def gpu(tmp_path_factory):
    return read_run(runs.make_gpu_run(tmp_path_factory.mktemp("gpu") / "run"))


def test_every_published_figure_is_readable():
    figures = published.figures()
    assert len(figures) > 100
    assert all(figure.rate > 0 and figure.source for figure in figures)


def test_the_rates_beside_a_sweep_are_in_order_and_inside_its_range(gpu):
    table = frame(gpu)
    found = published.beside(table[table["status"] == "ok"], "n", machine=H100)
    assert found
    for items in found.values():
        sizes = [item.n for item in items]
        assert sizes == sorted(set(sizes))
        assert all(512 <= size <= 16384 for size in sizes)


def test_a_comparison_divides_our_rate_by_the_published_one(gpu):
    rows = published.comparison(frame(gpu), machine=H100)
    assert rows
    assert all(row[5].endswith("×") for row in rows)
    assert published.comparison(frame(gpu), machine="NVIDIA A10") == []


def test_published_rates_need_the_same_dtype_masking_and_features(gpu):
    table = frame(gpu)
    rows = table[table["status"] == "ok"]
    assert published.beside(rows, "n", machine=H100)
    for changed in ({"dtype": "bfloat16"}, {"causal": True, "d": 96.0}, {"direction": "backward"}):
        assert not published.beside(rows.assign(**changed), "n", machine=H100)
    assert not published.beside(rows, "batch", machine=H100)


@pytest.mark.parametrize(
    ("name", "machine", "same"),
    [
        ("NVIDIA H100 SXM5", "NVIDIA H100 80GB HBM3", True),
        ("NVIDIA H100 SXM5", "NVIDIA H100 PCIe", False),
        ("NVIDIA H200", "NVIDIA H200", True),
        ("NVIDIA H200", "NVIDIA H200 NVL", False),
        ("NVIDIA A100", "NVIDIA A100-SXM4-80GB", True),
        ("NVIDIA A100", "NVIDIA A100-SXM4-80GB MIG 1g.10gb", False),
    ],
)
def test_a_device_is_the_published_model_or_it_is_not(name, machine, same):
    assert published.same_device(name, machine) is same
