"""merged.json says what a merged directory was made of, and is read back as it was written."""

from __future__ import annotations

from harness.results import journal
from harness.results.merged_file import Board, Group, Merged, MergedPart, Reading


def test_what_is_written_is_read_back_and_a_run_of_its_own_has_none(tmp_path):
    assert journal.read_merged(tmp_path) is None
    reading = Reading(case="b", status="ok", seconds=1.0, low=0.9, high=1.1)
    merged = Merged(
        groups=[Group(folder="", environment_id="e", device_name="H100", cases=3)],
        parts=[
            MergedPart(label="p", group="", environment_id="e", device="cuda:0", board="GPU-a", cases=3, bridge=reading)
        ],
        boards=[Board(group="", board="GPU-a", parts=["p"], seconds=1.0, ratio=1.0, noise=1.03, is_off=False)],
        missing={"id": "label"},
    )
    journal.write_document(tmp_path / journal.MERGED, merged.model_dump(mode="json", by_alias=True))
    assert journal.read_merged(tmp_path) == merged
