"""The chapter of a comparison has every case once: what changed worst first, then all others."""

from __future__ import annotations

import pytest

from harness.comparing.demands import judge_demands, parse
from harness.comparing.results import Mean
from reports.answer.changes import COLUMNS, MEAN_COLUMNS
from reports.chapters.changes import WORST_AT_MOST, changes_chapter
from reports.chapters.chapter import ROWS_AT_MOST
from tests.support.comparisons import at, changes_of, compared


def ratio(n, outcome, factor, implementation="batched"):
    """Return a compared case with a ratio and its interval."""
    one = at(n, implementation)
    return compared(one, base=one, outcome=outcome, ratio=factor, low=0.98 * factor, high=1.02 * factor)


def chapter_of(*cases, demands=(), **known):
    found = changes_of(*cases, **known)
    return changes_chapter(found, judge_demands(found, [parse(text) for text in demands]))


def section(chapter, title):
    [found] = [one for one in chapter.sections if one.title == title]
    return found


def sizes(table):
    return [row[COLUMNS.index("point")].partition(",")[0] for row in table.rows]


def test_the_sections_stand_in_their_order():
    mean = Mean(scenario="heads", implementation="loop", cases=2, ratio=1.1, low=1.0, high=1.2)
    cases = [ratio(64, "slower", 1.2), ratio(128, "same", 1.0).model_copy(update={"has_new_source": True})]
    chapter = chapter_of(*cases, means=[mean])
    assert (chapter.id, chapter.title) == ("changes", "What changed")
    assert chapter.lead == "2 of 2 cases compare: 1 slower and 1 same."
    assert [one.title for one in chapter.sections] == [
        "after against before",
        "Also to know",
        "What changed",
        "Means",
        "All other cases",
    ]
    assert section(chapter, "Also to know").lead == "Changed source: batched."
    [table] = section(chapter, "Means").tables
    assert (table.columns, len(table.rows)) == (MEAN_COLUMNS, 1)


def test_nothing_on_either_side_is_a_chapter_that_says_so():
    chapter = chapter_of()
    assert chapter.lead == "Nothing compares: neither side has a case."
    assert [one.title for one in chapter.sections] == ["after against before"]


def test_the_first_section_has_the_demands_before_how_to_read():
    lead = chapter_of(ratio(64, "slower", 1.2), demands=["slower:5%"]).sections[0].lead
    assert lead.startswith("--fail-on slower:5%: FAILED in 1 of 1 case: ")
    assert " (1.20×) A ratio is new over base, below 1 is faster." in lead


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, ("rate of 5 % over", "at least 3 %;", "within 5 %;")),
        (
            {"false_discoveries": 0.001, "effect_at_least": 0.0125, "same_within": 0.025},
            ("rate of 0.1 % over", "at least 1.25 %;", "within 2.5 %;"),
        ),
    ],
)
def test_limits_are_said_as_they_were_set(limits, said):
    lead = chapter_of(ratio(64, "same", 1.0), **limits).sections[0].lead
    assert all(words in lead for words in said), lead


def test_every_case_is_in_one_of_two_tables():
    cases = [ratio(64, "same", 1.01), ratio(128, "faster", 0.5), ratio(256, "slower", 1.2), ratio(512, "slower", 1.5)]
    chapter = chapter_of(*cases, compared(at(1024), reason="only in NEW"))
    [changed] = section(chapter, "What changed").tables
    [others] = section(chapter, "All other cases").tables
    assert changed.columns == others.columns == COLUMNS
    assert sizes(changed) == ["n 512", "n 256", "n 128"]
    assert sizes(others) == ["n 64", "n 1024"]
    assert changed.caption == "What changed, worst first"


def test_the_worst_are_open_and_the_rest_of_what_changed_folded():
    cases = [ratio(n, "slower", 1.2 + n / 1000) for n in range(64, 64 + WORST_AT_MOST + 3)]
    worst, less = section(chapter_of(*cases), "What changed").tables
    assert (worst.is_open, len(worst.rows)) == (True, WORST_AT_MOST)
    assert (less.is_open, sizes(less)) == (False, ["n 66", "n 65", "n 64"])


def test_cases_that_did_not_change_are_drawn_without_a_table_of_changes():
    found = section(chapter_of(ratio(64, "same", 1.0)), "What changed")
    assert [figure.id for figure in found.figures] == ["changes-ratios"]
    assert found.tables == ()


def test_what_has_no_ratio_is_not_drawn():
    chapter = chapter_of(compared(at(64), reason="only in NEW"))
    assert [one.title for one in chapter.sections] == ["after against before", "All other cases"]


def test_rows_beyond_a_bound_are_counted_in_the_caption():
    cases = [compared(at(n), reason="only in NEW") for n in range(1, ROWS_AT_MOST + 4)]
    [table] = section(chapter_of(*cases), "All other cases").tables
    assert len(table.rows) == ROWS_AT_MOST
    assert table.caption == "No change found, or no comparison (3 more in --json)"
    [whole] = section(chapter_of(*cases[:ROWS_AT_MOST]), "All other cases").tables
    assert whole.caption == "No change found, or no comparison"
