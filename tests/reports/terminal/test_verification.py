"""Each group of a table has its law in a line, and what would decide it in the next."""

from __future__ import annotations

from harness.verdicts.table import Verification
from harness.verdicts.table_group import Group
from reports.terminal import verification


def test_a_verification_says_the_law_of_each_group_and_its_notes():
    lone = Group({"impl": "dense"}, [1.0, 2.0], [1.0, 4.0], 2, 0, "inconclusive", "2 sizes are too few")
    found = Verification(exponent=2.0, x="n", y="seconds", groups=[lone], notes=["rows differ"])
    assert verification.lines(found) == [
        "impl=dense: seconds ~ n^2 is inconclusive: 2 sizes are too few",
        "note: rows differ",
    ]
