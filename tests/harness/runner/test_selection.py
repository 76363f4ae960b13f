"""What is wanted of the scenarios is read as it was written, or refused with the mistake named."""

from __future__ import annotations

import pytest

from harness.runner import selection
from tests.harness.runner.test_plan import NAMES, cases, sweep


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("flash", {("sdpa-flash", 8), ("sdpa-flash", 16)}),
        ("sdpa and n=8", {("sdpa-flash", 8), ("sdpa-math", 8)}),
        ("not sdpa", {("loop", 8), ("loop", 16)}),
        ("n=1", set()),
        ("loop and (n=8 or n=16) and not n=16", {("loop", 8)}),
        ("loop or flash and n=16", {("loop", 8), ("loop", 16), ("sdpa-flash", 16)}),
    ],
)
def test_a_keyword_expression_selects_by_label(expression, expected):
    assert {(case.implementation, case.point["n"]) for case in cases(sweep("a"), keyword=expression)} == expected


@pytest.mark.parametrize("expression", ["(loop", "loop and", "and", "loop)", "not"])
def test_a_keyword_expression_that_cannot_be_read_is_refused(expression):
    with pytest.raises(selection.SelectionError):
        cases(sweep("a"), keyword=expression)


def test_shards_are_disjoint_and_complete():
    whole = {case.id for case in cases(sweep("a"))}
    parts = [{case.id for case in cases(sweep("a"), shard=(index, 3))} for index in (1, 2, 3)]
    assert set.union(*parts) == whole
    assert sum(len(part) for part in parts) == len(whole)


def test_an_unknown_implementation_is_answered_with_a_suggestion():
    with pytest.raises(selection.SelectionError, match="did you mean 'sdpa-flash'"):
        selection.check_names(["sdpa-flsh"], NAMES)
    selection.check_names(["sdpa-*"], NAMES)
