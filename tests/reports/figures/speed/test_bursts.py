"""What a case keeps of its burst rate under sustained load is a ratio of its own rates, the quickest first."""

from __future__ import annotations

import pytest

from reports.figures.speed import bursts as module
from reports.figures.speed.bursts import bursts, draw_bursts
from tests.support import runs
from tests.support.drawn import BASE, colors_of, timed

COLORS = colors_of("batched", "loop", "sdpa-flash")


def loaded(implementation, *, burst, sustained, n=2048):
    record = runs.ok_record(implementation, **{**BASE, "n": n})
    telemetry = record.telemetry.model_copy(update={"summary": {"sustained_flops": sustained}})
    return timed(record, record.counts.operations / burst).model_copy(update={"telemetry": telemetry})


def test_the_quickest_under_load_stands_first_and_who_loses_most_is_named():
    records = [
        loaded("loop", burst=2e9, sustained=2e9),
        loaded("sdpa-flash", burst=8e9, sustained=6e9),
        loaded("batched", burst=5e9, sustained=4.5e9),
    ]
    figure = bursts(records, COLORS, key="k")
    assert [row[0] for row in figure.rows] == ["sdpa-flash", "batched", "loop"]
    assert figure.rows[0][3:] == ("8.00 GFLOP/s", "6.00 GFLOP/s", "75 %")
    assert figure.finding == "sdpa-flash loses most under sustained load: it keeps 75 % of its burst rate."


def test_where_none_is_slower_under_load_none_is_named():
    figure = bursts([loaded("batched", burst=5e9, sustained=5.1e9)], COLORS, key="k")
    assert figure.finding == "No implementation is slower under sustained load than in a burst."


def test_a_row_is_drawn_from_its_burst_to_its_sustained_rate():
    (one,) = module._loaded([loaded("batched", burst=5e9, sustained=4e9)])
    (axes,) = draw_bursts([one], COLORS).axes
    line, hollow, filled = axes.lines
    assert list(line.get_xdata()) == pytest.approx([5e9, 4e9])
    assert (hollow.get_markerfacecolor(), list(hollow.get_xdata())) == ("none", pytest.approx([5e9]))
    assert list(filled.get_xdata()) == pytest.approx([4e9])


def test_cases_beyond_a_bound_are_in_the_table_alone(monkeypatch):
    monkeypatch.setattr(module, "BURSTS_AT_MOST", 2)
    figure = bursts([loaded("batched", burst=5e9, sustained=k * 1e9, n=2048 * k) for k in (1, 2, 3)], COLORS, key="k")
    assert " The 2 quickest of 3 are drawn." in figure.how
    assert len(figure.rows) == 3


@pytest.mark.parametrize("summary", [{}, {"sustained_flops": 0.0}, {"burst_flops": 1e9}])
def test_a_case_without_a_lasting_load_has_no_row(summary):
    record = runs.ok_record("batched", **{**BASE, "n": 2048})
    told = record.model_copy(update={"telemetry": record.telemetry.model_copy(update={"summary": summary})})
    unread, uncounted = (told.model_copy(update={name: None}) for name in ("telemetry", "counts"))
    assert bursts([told, unread, uncounted], COLORS, key="k") is None
