"""Cases stand under the ceilings of their dtype, at the intensity of their ideal traffic."""

from __future__ import annotations

import pytest

from harness.records import Ceiling
from reports.figures.speed.roofline import draw_roofline, rate_ceiling, roofline
from tests.support.drawn import colors_of, run_of, swept, table_of, timed

COLORS = colors_of("batched", "sdpa-flash")
RATE = Ceiling(name="matmul float32", value=9e10, unit="FLOP/s", how="best of 3", datasheet=1e11)
COPY = Ceiling(name="copy", value=1.8e10, unit="B/s", how="best of 3")
HALF = Ceiling(name="matmul bfloat16", value=1.6e11, unit="FLOP/s", how="best of 3")


def table(share=0.5):
    """Give every case a time in which it reaches so much of its line."""
    records = []
    for record in swept("batched", "sdpa-flash"):
        counts = record.counts
        bound = max(counts.operations / RATE.value, counts.ideal_bytes / COPY.value)
        records.append(timed(record, bound / (share if record.case.implementation == "sdpa-flash" else share / 2)))
    return table_of(run_of(records))


def test_the_best_share_of_each_is_of_the_lower_ceiling():
    figure = roofline(table(), [RATE, COPY], COLORS, dtype="float32", key="k")
    assert figure.rows == (("sdpa-flash", "50 %"), ("batched", "25 %"))
    assert figure.finding == "sdpa-flash comes closest, with 50 % of the line; batched reaches 25 % at best."
    assert "datasheet 100 GFLOP/s" in figure.how


def test_one_implementation_is_compared_with_none():
    rows = table()
    figure = roofline(rows[rows["implementation"] == "batched"], [RATE, COPY], COLORS, dtype="float32", key="k")
    assert figure.finding == "batched comes closest, with 25 % of the line."


def test_the_line_bends_where_both_ceilings_meet():
    rows = table().assign(intensity=lambda t: t["operations"] / t["ideal_bytes"], rate=lambda t: t["tflops"] * 1e12)
    (axes,) = draw_roofline(rows, RATE, COPY, COLORS).axes
    line = axes.lines[0]
    bend = RATE.value / COPY.value
    assert bend in list(line.get_xdata())
    assert line.get_ydata()[-1] == RATE.value
    assert line.get_ydata()[0] == pytest.approx(COPY.value * line.get_xdata()[0])


def test_ceilings_measured_again_are_said_with_their_change():
    again = [RATE.model_copy(update={"value": 8.1e10}), HALF]
    figure = roofline(table(), [RATE, COPY], COLORS, dtype="float32", key="k", after=again)
    said = "of which the larger counts: matmul float32 90.0 GFLOP/s and then 81.0 GFLOP/s (−10 %)."
    assert figure.how.endswith(said)


def test_the_line_is_the_larger_of_what_start_and_end_measured():
    low = RATE.model_copy(update={"value": RATE.value / 200})
    figure = roofline(table(), [low, COPY], COLORS, dtype="float32", key="k", after=[RATE])
    assert figure.rows == roofline(table(), [RATE, COPY], COLORS, dtype="float32", key="k").rows


def test_a_ceiling_holds_for_its_dtype():
    assert rate_ceiling([COPY, HALF, RATE], "float32") == RATE
    assert rate_ceiling([COPY, HALF, RATE], "bfloat16") == HALF
    assert rate_ceiling([COPY, HALF, RATE], "float16") is None


@pytest.mark.parametrize("ceilings", [[], [RATE], [COPY], [HALF, COPY], [RATE, COPY.model_copy(update={"value": 0.0})]])
def test_without_both_ceilings_there_is_no_roof(ceilings):
    assert roofline(table(), ceilings, COLORS, dtype="float32", key="k") is None


def test_cases_without_counts_or_of_another_dtype_have_no_place():
    assert roofline(table().assign(ideal_bytes=float("nan")), [RATE, COPY], COLORS, dtype="float32", key="k") is None
    assert roofline(table(), [HALF, COPY], COLORS, dtype="bfloat16", key="k") is None
