"""A comparison as Markdown has the gate first, as JSON every case; names are text in both."""

from __future__ import annotations

import json
import math

import pytest

from harness.comparing.demands import judge_demands, parse
from harness.comparing.results import Exact, Mean
from harness.records import SCHEMA
from reports.exports import changes as exports
from reports.exports.changes import ROWS_AT_MOST
from tests.support.comparisons import at, changes_of, compared


def slower(n, factor=1.2, implementation="batched"):
    one = at(n, implementation)
    return compared(one, base=one, outcome="slower", ratio=factor, low=0.98 * factor, high=1.02 * factor)


def judged_of(found, *texts):
    return judge_demands(found, [parse(text) for text in texts])


def markdown_of(*cases, demands=(), **known):
    found = changes_of(*cases, **known)
    return exports.markdown(found, judged_of(found, *demands))


def document_of(*cases, demands=(), code=0, **known):
    found = changes_of(*cases, **known)
    return json.loads(exports.document(found, judged_of(found, *demands), code=code), parse_constant=pytest.fail)


def test_markdown_says_its_parts_in_their_order():
    mean = Mean(scenario="heads", implementation="loop", cases=2, ratio=1.1, low=1.0, high=1.2)
    cases = [slower(64), compared(at(128), has_new_source=True)]
    text = markdown_of(*cases, demands=["slower:5%"], means=[mean])
    assert text.startswith(
        "## attnbench compare: after against before\n\n"
        "**2 of 2 cases compare: 1 slower and 1 same.**\n\n"
        "- --fail-on slower:5%: FAILED in 1 of 2 cases: "
    )
    places = [text.index(part) for part in ("- --fail-on", "Changed source: batched.\n\n", "### What", "### Geometric")]
    assert places == sorted(places)
    assert text.endswith("| heads | loop | 2 | 1.10× | 1 to 1.2 |\n")


def test_a_comparison_of_nothing_is_two_lines_of_markdown():
    assert markdown_of() == (
        "## attnbench compare: after against before\n\n**Nothing compares: neither side has a case.**\n"
    )


def test_what_did_not_change_has_no_row():
    text = markdown_of(slower(64), compared(at(128)))
    assert "n 64, d 64" in text
    assert "n 128, d 64" not in text
    assert "###" not in markdown_of(compared(at(128)))


@pytest.mark.parametrize(("more", "said"), [(0, ""), (1, "1 more is in the page."), (2, "2 more are in the page.")])
def test_rows_beyond_a_bound_are_counted(more, said):
    text = markdown_of(*(slower(n) for n in range(1, ROWS_AT_MOST + more + 1)))
    assert text.count("| slower |") == ROWS_AT_MOST
    assert ("in the page." in text) == bool(said)
    assert said in text


def test_names_in_markdown_are_text():
    text = markdown_of(slower(64, implementation="bad|<b>*"), new="a_b <script>")
    assert "<script>" not in text
    assert "bad\\|&lt;b&gt;\\*" in text
    [*_, row] = [line for line in text.splitlines() if line.startswith("| slower")]
    assert row.replace("\\|", "").count("|") == 13


def test_json_has_the_comparison_its_words_and_its_exit_code():
    found = document_of(slower(64), compared(at(128)), code=1)
    assert (found["schema"], found["base"], found["new"]) == (SCHEMA, "before", "after")
    assert found["headline"] == "2 of 2 cases compare: 1 slower and 1 same."
    assert (found["remarks"], found["demands"], found["exit_code"]) == ([], [], 1)
    assert [one["outcome"] for one in found["cases"]] == ["slower", "same"]
    assert found["cases"][0]["new"]["seconds"] == 1e-3


def test_json_says_of_each_demand_what_came_of_it():
    cases = [slower(64), compared(at(128), memory=Exact(base=1, new=1))]
    first, second, third = document_of(*cases, demands=["slower:5%", "memory", "operations"])["demands"]
    assert first["demand"] == {"quantity": "slower", "share": 0.05}
    assert (first["compared"], first["total"], first["holds"]) == (2, 2, False)
    assert first["breaches"] == [at(64).case.id]
    assert first["says"].startswith("--fail-on slower:5%: FAILED")
    assert (second["compared"], second["holds"], second["ruled_out"]) == (1, True, 1)
    assert (third["compared"], third["holds"]) == (0, None)
    # The ids of all cases judged would make the document twice as long.
    assert "judged" not in first


def test_a_figure_that_is_not_finite_is_null():
    one = slower(64).model_copy(update={"error": Exact(base=0.5, new=math.inf), "high": math.nan})
    [found] = document_of(one)["cases"]
    assert found["error"] == {"base": 0.5, "new": None}
    assert found["high"] is None


def test_half_a_character_in_a_name_is_replaced():
    assert document_of(new="a\ud800")["new"] == "a\ufffd"
