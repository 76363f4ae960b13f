"""A lesson survives its file, and a file that holds none is refused in a line."""

from __future__ import annotations

import json

import pytest

from harness.lesson import facts as lesson_facts
from harness.lesson.facts import Answered, Example, Learning, Lesson, Method, Pooling, Training, Work
from harness.records import SCHEMA
from harness.results import journal
from harness.results.schema import SchemaMismatchError

METHOD = Method(name="average", formula="mean of y", predictions=[1 / 3], weights=[[0.5, 0.5]], error=1e-300, bends=0)
OUTCOME = Training(
    seed=0, start=0.5, first=200.0, second=30.0, last=29.0, largest_rise=-1e-6, w=40.0, best_w=2.5, best_loss=20.0
)
LESSON = Lesson(
    created="2026-03-01T12:00:00+00:00",
    device="cpu",
    versions={"torch": "2.13.0"},
    pooling=Pooling(seed=34, x=[0.0, 1.0], y=[1.0, 2.0], grid=[0.5], truth=[1.5], methods=[METHOD]),
    learning=Learning(
        seed=34, why="nearest", rate=0.5, losses=[200.0], scales=[40.0], best_w=2.5, best_loss=20.0,
        landscape=[(0.05, 300.0), (200.0, 1 / 3)], outcomes=[OUTCOME],
    ),
    example=Example(
        shape=[2, 4, 100], steps=[("queries: batch, queries, width", [2, 4, 100])], masks=["none"],
        between_rows=0.0, from_product=1e-6, size=3.0, unit=2.0**-24,
    ),
    fused=[Answered(shape=[2, 3, 8], backend="flash", ran=False, message="No available kernel")],
    work=[Work(n=64, width=128, heads=4, phases={"projections": 2 * 64 * 128 * 128})],
    seconds=1.5,
)  # fmt: skip


def test_a_lesson_survives_its_file_to_the_last_bit(tmp_path):
    lesson_facts.write(LESSON, tmp_path)
    assert lesson_facts.read(tmp_path) == lesson_facts.found(tmp_path) == LESSON
    document = json.loads((tmp_path / lesson_facts.LESSON).read_text(encoding="utf-8"))
    assert document["schema"] == SCHEMA
    assert document["learning"]["landscape"][1] == [200.0, 1 / 3]


def test_a_lesson_is_replaced_by_the_next(tmp_path):
    lesson_facts.write(LESSON, tmp_path)
    later = LESSON.model_copy(update={"seconds": 9.0})
    lesson_facts.write(later, tmp_path)
    assert lesson_facts.read(tmp_path) == later


def test_a_directory_without_a_lesson_is_refused_where_one_is_needed_and_none_where_it_may_be(tmp_path):
    assert lesson_facts.found(tmp_path) is None
    with pytest.raises(journal.JournalError, match=r"holds no lesson: it has no lesson\.json"):
        lesson_facts.read(tmp_path)


def test_a_lesson_without_steps_is_that_of_an_older_version(tmp_path):
    document = LESSON.model_dump(mode="json", by_alias=True)
    del document["example"]["steps"]
    journal.write_document(tmp_path / lesson_facts.LESSON, document)
    assert lesson_facts.read(tmp_path).example.steps == []


def test_a_newer_schema_is_refused_by_both_readers(tmp_path):
    document = LESSON.model_dump(mode="json", by_alias=True)
    newer = f"{int(SCHEMA.split('.', maxsplit=1)[0]) + 1}.0.0"
    journal.write_document(tmp_path / lesson_facts.LESSON, {**document, "schema": newer})
    for reader in (lesson_facts.read, lesson_facts.found):
        with pytest.raises(SchemaMismatchError, match=rf"lesson\.json has schema {newer}"):
            reader(tmp_path)


def test_every_mistake_of_a_lesson_has_its_place(tmp_path):
    document = LESSON.model_dump(mode="json", by_alias=True)
    document["pooling"]["methods"][0]["bends"] = 0.5
    document["secconds"] = document.pop("seconds")
    journal.write_document(tmp_path / lesson_facts.LESSON, document)
    with pytest.raises(journal.JournalError) as refused:
        lesson_facts.read(tmp_path)
    said = [line.partition(": ")[2] for line in str(refused.value).splitlines()]
    assert said[0].startswith("pooling.methods.0.bends: should be a valid integer")
    assert said[1:] == ["seconds is missing", "secconds is no field of it; did you mean 'seconds'?"]
