"""What fresh memory costs is told with its dearest case, and drawn for few enough of them."""

from __future__ import annotations

from harness.records import Allocation
from harness.results.run import read_run
from reports import style
from reports.figures import fresh_memory
from reports.page.render import render
from tests.support import runs
from tests.support.drawn import colors_of as looks_of
from tests.support.drawn import swept


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


def test_none_beyond_its_interval_is_said_so():
    figure = fresh_memory.fresh_memory([fresh("batched", 64, 1.2, low=0.9, high=1.5)], looks_of("batched"), key="k")
    assert figure.finding.startswith(
        "Fresh memory makes 0 of 1 case slower beyond the interval; most batched, by 1.20×"
    )


def test_a_label_names_what_differs_and_no_more():
    records = [fresh("batched", n, 1.1) for n in (64, 128)]
    figure = fresh_memory.fresh_memory(records, looks_of("batched"), key="k")
    assert ">batched n 64<" in figure.svg
    assert "heads 2<" not in figure.svg
    alike = [fresh(name, 64, 1.1) for name in ("batched", "online")]
    assert ">batched<" in fresh_memory.fresh_memory(alike, looks_of("batched", "online"), key="k").svg


def test_cases_beyond_a_bound_are_in_the_table_alone():
    many = fresh_memory.ROWS_AT_MOST + 3
    figure = fresh_memory.fresh_memory(
        [fresh("batched", n + 1, 1.0 + n / 100) for n in range(many)], looks_of("batched"), key="k"
    )
    assert len(figure.rows) == many
    assert f" The {many - 3} dearest of {many} cases are drawn." in figure.how
    assert [row[5] for row in figure.rows[:2]] == ["1.26×", "1.25×"]


def test_an_absent_interval_is_a_dash():
    row = fresh_memory.fresh_memory([fresh("online", 64, 1.1)], looks_of("online"), key="k").rows[0]
    assert row[3:] == ("1.10 ms", "1.00 ms", "1.10×", "–", "–", "9,000", "2", "5")
    assert fresh_memory.fresh_memory(swept("batched"), looks_of("batched"), key="k") is None
