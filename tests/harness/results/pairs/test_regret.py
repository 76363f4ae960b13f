"""What the dispatcher lost is the best pinned backend's speed-up over it; without any there is nothing to say."""

from __future__ import annotations

import pytest

from harness.results.pairs.regret import regrets
from reports.frame import frame
from tests.support.in_turn import stored


def test_the_loss_is_against_the_best_pinned_backend_and_no_other_implementation(tmp_path):
    seconds = {"sdpa-auto": 1.5e-6, "sdpa-math": 1.5e-6, "sdpa-flash": 1e-6, "batched": 0.5e-6}
    run = stored(tmp_path, seconds)
    found = regrets(run)
    assert [(one.best, one.picked, one.is_told) for one in found] == [("sdpa-flash", "math", True)] * 2
    for one in found:
        assert one.factor == pytest.approx(1.5, rel=0.03)
        assert one.low < 1.5 < one.high
    table = frame(run)
    assert table.loc[table["implementation"] == "sdpa-auto", "regret"].to_list() == pytest.approx([1.5] * 2, rel=0.03)
    assert table.loc[table["implementation"] != "sdpa-auto", "regret"].isna().all()


def test_a_choice_that_is_the_best_lost_nothing(tmp_path):
    seconds = {"sdpa-auto": 1e-6, "sdpa-math": 1.5e-6, "sdpa-flash": 1e-6}
    assert [(one.best, one.is_told) for one in regrets(stored(tmp_path, seconds))] == [("sdpa-flash", False)] * 2


def test_without_a_choice_or_without_a_backend_there_is_nothing_to_compare(tmp_path):
    assert regrets(stored(tmp_path / "a", {"sdpa-math": 1e-6, "sdpa-flash": 1e-6})) == []
    assert regrets(stored(tmp_path / "b", {"sdpa-auto": 1e-6, "batched": 1e-6})) == []
