"""A summary is read whatever minor version wrote it, and a misspelt one is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness.records import SCHEMA, Ceiling
from harness.results.documents import JournalError, read_model
from harness.results.summary_file import Summary

# As a run of schema 1.0 wrote it.
OLD = {
    "schema": "1.0.0",
    "started": "2026-03-01T12:00:00+00:00",
    "ended": "2026-03-01T12:04:00+00:00",
    "wall_seconds": 240.0,
    "call_seconds": 180.0,
    "call_share": 0.75,
    "statuses": {"ok": 3},
    "rounds": 7,
    "complete": True,
}


def test_a_summary_of_an_older_version_has_no_share_of_timed_samples_and_nothing_left_out():
    found = Summary.model_validate(OLD)
    assert (found.timed_seconds, found.timed_share) == (None, None)
    assert (found.left_out, found.warnings, found.ceilings_after, found.workers) == ([], [], [], 1)
    assert found.schema_version == "1.0.0"


def test_a_summary_survives_its_file_and_names_the_schema_as_files_do():
    ceiling = Ceiling(name="memory copy", value=1e10, unit="B/s", how="given")
    summary = Summary(**{**OLD, "schema": SCHEMA, "timed_share": 0.5, "ceilings_after": [ceiling]})
    document = summary.model_dump(mode="json", by_alias=True)
    assert document["schema"] == SCHEMA
    assert "schema_version" not in document
    assert Summary.model_validate(document) == summary


def test_a_summary_is_given_the_schema_of_this_version():
    assert Summary(**{name: value for name, value in OLD.items() if name != "schema"}).schema_version == SCHEMA


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"complet": True}, "complet is no field of it; did you mean 'complete'?"),
        ({"statuses": {"ok": "many"}}, "statuses.ok: should be a valid integer"),
        ({"rounds": None}, "rounds: should be a valid integer"),
    ],
)
def test_a_mistake_in_a_summary_is_named_by_its_place(changes, mistake):
    with pytest.raises(JournalError) as refused:
        read_model(Summary, {**OLD, **changes}, source="summary.json")
    assert str(refused.value).startswith(f"summary.json: {mistake}")


def test_a_summary_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Summary.model_validate(OLD).complete = False
