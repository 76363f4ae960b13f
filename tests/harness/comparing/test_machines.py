"""What differs between two environments is the machine, or software on it."""

from __future__ import annotations

from harness.comparing.compare import compare
from harness.policy import ComparisonPolicy
from tests.support.comparisons import MACHINE, case, only, side

POLICY = ComparisonPolicy()


def test_threads_are_the_machine_and_torch_is_not():
    assert only(case(), case(), stable={**MACHINE, "threads": 1}).outcome == "not comparable"
    changes = compare(side([case()]), side([case()], stable={**MACHINE, "torch": "2.14.0"}), policy=POLICY)
    assert changes.comparable == 1
    assert [(one.fact, one.base, one.new) for one in changes.software] == [("torch", "2.13.0+cpu", "2.14.0")]
