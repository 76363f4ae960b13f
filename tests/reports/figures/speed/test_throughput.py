"""Rates stand beside published ones of the same device, and of no other."""

from __future__ import annotations

import re

import pytest

from harness.results.run import read_run
from reports import style
from reports.figures.speed.throughput import throughput
from reports.figures.sweep import sweeps
from reports.frame import frames
from tests.support import runs


@pytest.fixture(scope="module")
def gpu(tmp_path_factory):
    return read_run(runs.make_gpu_run(tmp_path_factory.mktemp("gpu") / "run"))


def colors_of(run):
    return style.looks(record.case.implementation for record in run.records)


def sweep_of(run):
    return next(found for found in sweeps([run], frames([run])) if found.axis == "n")


def test_published_rates_are_laid_over_on_the_same_device(gpu):
    figure = throughput(sweep_of(gpu), colors_of(gpu), machine="NVIDIA H100 80GB HBM3")
    assert ">flash-attention-3 †<" in figure.svg
    assert "FlashAttention-3 paper" in figure.how
    assert re.search(r"sdpa-cudnn reaches \d+ % of the 595 TFLOP/s published for sdpa-cudnn", figure.finding)
    assert ("flash-attention-3 †", "16,384", "648 TFLOP/s", "") in figure.rows


@pytest.mark.parametrize("machine", ["NVIDIA H100 PCIe", "NVIDIA A100-SXM4-80GB", "AMD EPYC", ""])
def test_published_rates_stay_away_from_other_devices(gpu, machine):
    figure = throughput(sweep_of(gpu), colors_of(gpu), machine=machine)
    assert "†" not in figure.svg
    assert "published" not in figure.how
