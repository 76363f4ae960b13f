"""What fresh memory costs is told with its dearest case, and drawn for few enough of them."""

from __future__ import annotations

from harness.records import Allocation
from harness.results.run import read_run
from reports import style
from reports.figures import fresh_memory
from reports.page.render import render
from tests.support import runs


def colors_of(run):
    return style.looks(record.case.implementation for record in run.records)


def fresh(implementation, n, ratio, *, low=None, high=None):
    cost = Allocation(
        returned=ratio * 1e-3, kept=1e-3, ratio=ratio, low=low, high=high, faults_returned=9000.0, faults_kept=2.0,
        rounds=5,
    )  # fmt: skip
    return runs.ok_record(implementation, n=n, d=64, heads=2, batch=1).model_copy(update={"allocation": cost})


def test_fresh_memory_has_a_figure_with_its_dearest_case_in_words(tmp_path):
    records = [
        fresh("batched", 2048, 1.4, low=1.3, high=1.5),
        fresh("sdpa-flash", 2048, 1.0, low=0.99, high=1.01),
        fresh("online", 2048, 1.1),
    ]
    runs.write_run(tmp_path / "run", records, judged=False)
    run = read_run(tmp_path / "run")
    figure = fresh_memory.fresh_memory(run.records, colors_of(run), key="k")
    assert figure.finding == (
        "Fresh memory makes 1 of 3 cases slower beyond the interval; most batched, by 1.40× (95 %: 1.30 to 1.50), "
        "with 9,000 page faults per call instead of 2."
    )
    assert [row[0] for row in figure.rows] == ["batched", "online", "sdpa-flash"]
    assert "What fresh memory costs" in render([tmp_path / "run"], tmp_path / "p.html").read_text(encoding="utf-8")


def test_without_measured_allocation_there_is_no_such_figure(tmp_path):
    run = read_run(runs.make_run(tmp_path / "run", sweeps=("batch",)))
    assert fresh_memory.fresh_memory(run.records, colors_of(run), key="k") is None
