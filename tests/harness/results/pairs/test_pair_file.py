"""A folder of two sides is told by its pair.json, and read as two runs that are labelled apart."""

from __future__ import annotations

import pytest

from harness.results.documents import JournalError
from harness.results.pairs.pair_file import expanded, is_pair, read_pair, read_sides
from tests.support.pairs import make_pair


def test_both_sides_are_runs_of_their_own_and_are_read_together(tmp_path):
    folder = make_pair(tmp_path / "both", rounds=2)
    assert is_pair(folder)
    assert not is_pair(folder / "base")
    assert read_pair(folder).base.interpreter == "/opt/python"
    assert [side.label for side in read_sides(folder)] == ["both/base", "both/new"]
    assert expanded(folder) == [folder / "base", folder / "new"]
    assert expanded(folder / "new") == [folder / "new"]


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(JournalError, match="holds no two sides"):
        read_sides(tmp_path)
