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


def test_an_unknown_implementation_is_answered_with_a_suggestion():
    with pytest.raises(selection.SelectionError, match="did you mean 'sdpa-flash'"):
        selection.check_names(["sdpa-flsh"], NAMES)
    selection.check_names(["sdpa-*"], NAMES)


LABEL = "sdpa-flash n=64,heads=8,kv_heads=2,causal=True bfloat16 forward+backward cold"


@pytest.mark.parametrize(
    "expression",
    [
        "", "  ", "flash", "n=64", "kv_heads=2", "causal=True", "bfloat16", "forward+backward", "cold", "heads",
        "not n=6", "not n=640", "not heads=2", "not (loop or math)", "not not cold", "((cold))",
        "loop or n=64 and cold",
    ],
)  # fmt: skip
def test_a_label_satisfies_an_expression_over_its_words(expression):
    assert selection.Keyword(expression).matches(LABEL)


@pytest.mark.parametrize("expression", ["heads=2", "n=6", "n=640", "=64", "64=", "flash and not cold", "FLASH"])
def test_a_part_of_a_size_is_not_the_size(expression):
    assert not selection.Keyword(expression).matches(LABEL)


def test_and_binds_closer_than_or_and_not_closer_than_both():
    matches = selection.Keyword("a or b and not c").matches
    assert [matches(text) for text in ("a c", "b", "b c", "c", "")] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("expression", "mistake"),
    [
        ("(loop", r"-k '\(loop': '\)' is missing"),
        ("loop and", "-k 'loop and': a word is missing"),
        ("or loop", "a word is missing"),
        ("loop)", r"'\)' is not expected there"),
        ("loop math", "'math' is not expected there"),
        ("()", "a word is missing"),
    ],
)
def test_a_mistake_in_an_expression_is_named_before_any_label_is_met(expression, mistake):
    with pytest.raises(selection.SelectionError, match=mistake):
        selection.Keyword(expression)


@pytest.mark.parametrize(("text", "shard"), [("1/1", (1, 1)), ("2/3", (2, 3)), ("10/10", (10, 10))])
def test_a_shard_is_read_as_it_is_written(text, shard):
    assert selection.parse_shard(text) == shard


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/3/5", " 1/3", "1.0/3", "a/b"])
def test_what_is_no_shard_is_refused_with_how_it_must_read(text):
    with pytest.raises(selection.SelectionError, match=r"must read I/N with 1 <= I <= N") as refused:
        selection.parse_shard(text)
    assert repr(text) in str(refused.value)


def test_names_of_any_problem_are_known_and_one_that_is_not_is_told_with_those():
    names = {"attention": ["loop"], "pooling": ["average"]}
    selection.check_names(["loop", "aver*", "[al]*"], names)
    selection.check_names([], {})
    with pytest.raises(selection.SelectionError, match=r"no implementation 'nope.*have: average, loop"):
        selection.check_names(["loop", "nope*"], names)


def test_an_empty_shard_is_a_selection_of_nothing():
    assert issubclass(selection.EmptyShardError, selection.SelectionError)
    assert issubclass(selection.SelectionError, ValueError)
