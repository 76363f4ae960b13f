"""The rooflines of several machines are in one drawing, each with its own ceilings and its own best case."""

from __future__ import annotations

from harness.records import Ceiling
from reports import style
from reports.figures.speed.roofline import placed
from reports.figures.speed.rooflines import draw_rooflines, rooflines
from tests.support import runs
from tests.support.drawn import run_of, swept, table_of, timed


def run(label, *, rate=9e10, factor=1.0, ceilings=True):
    records = [timed(record, factor * record.time.median) for record in swept("batched")]
    measured = [
        Ceiling(name="matmul float32", value=rate, unit="FLOP/s", how="best of 3"),
        Ceiling(name="copy", value=rate / 5, unit="B/s", how="best of 3"),
    ]
    environment = runs.environment("cpu", "a processor").model_copy(update={"ceilings": measured if ceilings else []})
    return run_of(records, label=label, environment=environment)


def test_each_machine_has_its_ceilings_and_its_best_case():
    several = [run("slow"), run("quick", rate=9e11, factor=0.1)]
    figure = rooflines(table_of(*several), several, dtype="float32")
    assert [row[:3] for row in figure.rows] == [
        ("slow", "90.0 GFLOP/s", "18.0 GB/s"),
        ("quick", "900 GFLOP/s", "180 GB/s"),
    ]
    assert figure.finding.startswith("The highest rate is reached on quick: ")


def test_a_machine_without_ceilings_is_left_out_and_one_alone_has_no_such_figure():
    several = [run("slow"), run("blind", ceilings=False)]
    assert rooflines(table_of(*several), several, dtype="float32") is None
    assert rooflines(table_of(*several), several, dtype="bfloat16") is None


def test_every_line_bends_where_the_ceilings_of_its_machine_meet():
    several = [run("slow"), run("quick", rate=9e11)]
    rows = placed(table_of(*several), "float32")
    corners = {"slow": (9e10, 1.8e10), "quick": (9e11, 9e10)}
    drawing = draw_rooflines(rows.assign(implementation=rows["run"]), corners, style.looks(corners))
    lines = [line for line in drawing.axes[0].lines if len(line.get_xdata()) == 3]
    assert [(line.get_xdata()[1], line.get_ydata()[1]) for line in lines] == [(5.0, 9e10), (10.0, 9e11)]
