"""Several runs are set beside the first, where they share anything."""

from __future__ import annotations

from reports import style
from reports.chapters.runs import runs_chapter
from reports.figures.sweep import sweeps
from tests.support import runs
from tests.support.drawn import run_of, swept, table_of, timed

NAMES = ("batched", "loop")


def chapter_of(*several):
    table = table_of(*several)
    return runs_chapter(several, sweeps(several, table), table, style.looks(NAMES))


def run(label, *, factor=1.0, sizes=(64, 128), stable=None):
    records = [timed(record, factor * record.time.median) for record in swept(*NAMES, sizes=sizes)]
    environment = runs.environment("cpu", "a processor").model_copy(update={"stable": stable or {"threads": 2}})
    return run_of(records, label=label, environment=environment)


def test_every_other_run_has_a_row_for_each_implementation():
    chapter = chapter_of(run("first"), run("slower", factor=2.0), run("quicker", factor=0.5))
    (section,) = chapter.sections
    (table,) = section.tables
    assert (chapter.id, table.caption) == ("runs", "Time relative to first")
    assert table.rows == (
        ("slower", "batched", "2", "2.00×", "2.00×", "2.00×"),
        ("slower", "loop", "2", "2.00×", "2.00×", "2.00×"),
        ("quicker", "batched", "2", "0.500×", "0.500×", "0.500×"),
        ("quicker", "loop", "2", "0.500×", "0.500×", "0.500×"),
    )
    assert len(section.figures) == 2


def test_facts_of_machines_that_differ_are_named_and_no_others():
    one = {"threads": 2, "cpu": "same", "l2_bytes": 2**20}
    other = {"threads": 4, "cpu": "same", "gpu": "a card"}
    tables = chapter_of(run("a", stable=one), run("b", stable=other)).sections[0].tables
    assert tables[0].columns == ("fact", "a", "b")
    assert tables[0].rows == (("gpu", "–", "a card"), ("l2_bytes", "1.00 MiB", "–"), ("threads", "2", "4"))


def test_runs_that_share_no_case_have_what_differs_alone():
    chapter = chapter_of(run("a", stable={"threads": 2}), run("b", sizes=(512, 1024), stable={"threads": 4}))
    assert [table.caption for table in chapter.sections[0].tables] == [
        "What differs between the machines",
        "Ceilings side by side",
        "Best share of each machine's roofline, side by side",
    ]
    assert chapter.sections[0].figures == ()


def test_runs_that_share_nothing_have_no_chapter():
    assert chapter_of(run("a")) is None
    assert chapter_of(run("a"), run("b", sizes=(512, 1024))) is None


def test_machines_have_times_ceilings_and_rooflines_beside_each_other():
    one = run("a", stable={"threads": 2})
    other = run("b", factor=2.0, stable={"threads": 4})
    tables = {table.caption: table for table in chapter_of(one, other).sections[0].tables}
    times = tables["Times side by side"]
    assert times.columns == ("scenario", "implementation", "conditions", "largest point of all", "a", "b")
    assert [row[1:4] for row in times.rows] == [
        (name, "float32 forward", "n 128, d 64, heads 2, batch 1") for name in NAMES
    ]
    assert tables["Ceilings side by side"].rows[0] == ("matmul float32", "90.0 GFLOP/s", "90.0 GFLOP/s")
    shares = tables["Best share of each machine's roofline, side by side"]
    assert [row[:2] for row in shares.rows] == [("float32", name) for name in NAMES]
    assert all(row[2] == row[3] and row[2].endswith("%") for row in shares.rows)


def test_a_case_that_one_machine_lacks_is_not_the_point_that_is_shown():
    one, other = run("a", stable={"threads": 2}), run("b", sizes=(64,), stable={"threads": 4})
    times = next(t for t in chapter_of(one, other).sections[0].tables if t.caption == "Times side by side")
    assert {row[3] for row in times.rows} == {"n 64, d 64, heads 2, batch 1"}
