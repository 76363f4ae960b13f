"""On the same simulated data every other rule is wrong more often; the full tables are in docs/calibration.md."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evidence.calibration import calibrate, rivals

SIZES = calibrate.sweep()


def test_other_rules_are_wrong_more_often():
    pytest.importorskip("big_o")
    wrong = calibrate.wrong_of_all(40)
    ours = max(wrong.pop("attnbench, component"), wrong.pop("attnbench, layer"))
    assert ours <= 0.01
    assert set(wrong) == set(calibrate.TOOLS)
    assert min(wrong.values()) > ours


@pytest.mark.parametrize("tool", [rivals.log_log_slope, rivals.google_benchmark, rivals.extra_p])
@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_the_other_rules_are_right_where_nothing_disturbs(tool, power):
    """They are reimplemented fairly: clean powers are theirs."""
    assert tool(SIZES, (1e-8 * SIZES**power)[None])[0] == pytest.approx(power, abs=1e-6)


def test_a_floor_alone_misleads_a_rule_without_one():
    flat = rivals.google_benchmark(SIZES, (1.0 + 1e-9 * SIZES**2)[None])[0]
    assert flat == 0.0


def test_the_same_key_draws_the_same_data():
    first, second = (calibrate.times("n^2", SIZES, sets=5, shape="one transition") for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, calibrate.times("n^2", SIZES, sets=5))


def test_the_written_tables_hold_what_is_promised():
    text = calibrate.TARGET.read_text(encoding="utf-8")
    assert "called consistent with n^2 by either rule: 0 times" in text
