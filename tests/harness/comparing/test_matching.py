"""Every case of either side has its partner, or a reason why there is none."""

from __future__ import annotations

import pytest

from harness.comparing.compare import compare
from harness.policy import ComparisonPolicy
from tests.support.comparisons import case, only, side

POLICY = ComparisonPolicy()


@pytest.mark.parametrize(
    ("base", "new", "reason"),
    [
        (case(), None, "only in BASE"),
        (None, case(), "only in NEW"),
        (case(), case(status="crashed", reason="killed by SIGSEGV"), "crashed in NEW: killed by SIGSEGV"),
        (case(status="oom", reason="4 GiB"), case(), "oom in BASE: 4 GiB"),
        (case(), case(attended=50), "other shapes: 100 pairs attended in BASE, 50 in NEW"),
        (case(), case(inputs=1), "other shapes: 4096 bytes of inputs in BASE, 1 in NEW"),
    ],
)
def test_what_does_not_compare_has_a_reason(base, new, reason):
    one = only(base, new)
    assert (one.outcome, one.reason, one.ratio) == ("not comparable", reason, None)


def test_an_implementation_at_other_sizes_is_said_to_have_other_shapes():
    changes = compare(side([case()]), side([case(point={"n": 128, "d": 64, "heads": 2, "batch": 1})]), policy=POLICY)
    assert [one.reason for one in changes.cases] == [
        "only in BASE: other shapes in NEW (n 128)",
        "only in NEW: other shapes in BASE (n 64)",
    ]
