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


def group(key, verdict="consistent", **known):
    return Group(key, [1.0, 2.0], [1.0, 4.0], 2, 0, verdict, "it is so", **known)


def test_what_would_decide_stands_below_its_group():
    groups = [group({}, "inconclusive", to_decide="measure more"), group({"a": 1, "b": "x"})]
    found = Verification(exponent=1.5, x="n", y="ms", groups=groups, notes=[])
    assert verification.lines(found) == [
        "ms ~ n^1.5 is inconclusive: it is so",
        "  to decide, measure more",
        "a=1, b=x: ms ~ n^1.5 is consistent: it is so",
    ]


def test_a_name_that_a_terminal_would_obey_is_escaped():
    (line,) = verification.lines(Verification(exponent=2.0, x="n", y="s", groups=[group({"a": "\x1b[2J\n"})], notes=[]))
    assert line.isprintable()
    assert line.startswith(r"a='\x1b[2J\n': s ~ n^2")
