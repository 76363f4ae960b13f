"""What an option gains is the best variant's speed-up over the default of the same implementation."""

from __future__ import annotations

import pytest

from harness.results.pairs.tuned import tuned
from reports.frame import frame
from tests.support.in_turn import stored

SECONDS = {
    "online": 2e-6, "online:block=32": 4e-6, "online:block=256": 1e-6, "loop": 2e-6, "loop:x=1": 2.5e-6,
    "batched": 0.1e-6, "einsum:x=1": 0.1e-6,
}  # fmt: skip


def test_the_best_value_is_held_against_its_own_default_and_the_largest_gain_is_first(tmp_path):
    run = stored(tmp_path, SECONDS)
    found = tuned(run)
    assert [(one.case.implementation, one.best, one.tried, one.is_told) for one in found] == [
        *[("online", "online:block=256", 2, True)] * 2, *[("loop", "loop:x=1", 1, False)] * 2,
    ]  # fmt: skip
    for one in found[:2]:
        assert one.factor == pytest.approx(2.0, rel=0.03)
        assert one.low < 2.0 < one.high
    table = frame(run)
    of_default = table["implementation"] == "online"
    assert table.loc[of_default, "option_gain"].to_list() == pytest.approx([2.0] * 2, rel=0.03)
    assert table.loc[~table["implementation"].isin({"online", "loop"}), "option_gain"].isna().all()
    assert dict(zip(table["implementation"], table["default"], strict=True))["online:block=32"] == "online"


def test_without_a_default_there_is_nothing_to_compare(tmp_path):
    assert tuned(stored(tmp_path, {"online:block=32": 1e-6, "batched": 1e-6})) == []
