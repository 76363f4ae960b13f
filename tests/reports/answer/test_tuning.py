"""A sentence says what an option gains and where; who is fastest is asked of defaults alone."""

from __future__ import annotations

from reports.answer.fastest import contrast
from reports.answer.sentences import sentences
from reports.answer.tuning import tuning_sentences
from reports.frame import frame, with_marks
from reports.terminal.results import notes_of
from tests.support.in_turn import stored


def test_a_gain_is_said_with_its_setting_its_point_and_its_interval(tmp_path):
    run = stored(tmp_path, {"online": 2e-6, "online:block=32": 4e-6, "online:block=256": 1e-6, "batched": 1.5e-6})
    (said,) = tuning_sentences(run)
    start = (
        "The best of 2 other settings of online is faster than its default at 2 of 2 points, most with block=256 at n "
    )
    assert said.startswith(start)
    assert "2.0" in said.partition(": ")[2]
    assert said in sentences(run, frame(run).assign(run=run.label))
    assert said in notes_of(run)


def test_no_gain_is_said_too(tmp_path):
    run = stored(tmp_path, {"online": 1e-6, "online:block=32": 2e-6})
    assert tuning_sentences(run) == ["None of 1 other setting of online is faster than its default at any of 2 points."]


def test_who_is_fastest_is_asked_of_defaults(tmp_path):
    run = stored(tmp_path, {"online": 2e-6, "online:block=256": 1e-6, "batched": 1.5e-6})
    table = frame(run)
    assert contrast(table[table["status"] == "ok"], baseline="online").fastest == "batched"


def test_a_run_without_variants_says_nothing(tmp_path):
    assert tuning_sentences(with_marks(stored(tmp_path, {"online": 1e-6, "batched": 2e-6}))) == []
