"""Rates stand beside published ones of the same device, and of no other."""

from __future__ import annotations

import re

import pytest

from harness.results.run import read_run
from reports import style
from reports.figures.speed.throughput import draw_throughput, throughput
from reports.figures.sweep import sweeps
from reports.frame import frames
from reports.published import Published
from tests.support import drawn, runs


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


def rated(*rates, names=("batched",), sizes=(64, 128)):
    """Give the cases of each implementation so many operations per second."""
    return drawn.sweep_of([
        drawn.timed(record, record.counts.operations / rate)
        for name, rate in zip(names, rates, strict=True) for record in drawn.swept(name, sizes=sizes)
    ])  # fmt: skip


def test_the_highest_rate_is_named_and_tabulated():
    figure = throughput(rated(2e9, 5e9, names=("batched", "loop")), drawn.colors_of("batched", "loop"))
    assert figure.finding == "loop reaches the most, 5.00 GFLOP/s at n = 128."
    assert {row[2] for row in figure.rows} == {"2.00 GFLOP/s", "5.00 GFLOP/s"}
    assert not figure.wide


def test_without_operations_or_an_axis_there_is_no_figure():
    bare = [record.model_copy(update={"counts": None}) for record in drawn.swept("batched")]
    assert throughput(drawn.sweep_of(bare), drawn.colors_of("batched")) is None
    joint = [*drawn.swept("batched", sizes=(64, 128)), *drawn.swept("batched", sizes=(64, 128), d=32)]
    assert throughput(drawn.sweep_of(joint), drawn.colors_of("batched")) is None


def test_a_published_name_without_a_look_is_drawn_in_ink():
    sweep = rated(2e9)
    rows = sweep.table.assign(rate=sweep.table["tflops"] * 1e12)
    item = Published(
        source="s", device="d", implementation="theirs", dtype="float32", direction="forward", causal=False, batch=1,
        heads=2, d=64, n=64, rate=4e9, note="",
    )  # fmt: skip
    drawing = draw_throughput(rows, "n", drawn.colors_of("batched"), others={"theirs": [item]}, shared=rows)
    (axes,) = drawing.axes
    hollow = next(line for line in axes.lines if line.get_markerfacecolor() == "none")
    assert (list(hollow.get_xdata()), list(hollow.get_ydata()), hollow.get_color()) == ([64.0], [4e9], style.INK)
    assert "theirs †" in [text.get_text() for text in axes.texts]
