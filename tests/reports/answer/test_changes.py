"""What a comparison found, in words: each outcome counted, each reason said, the worst named first."""

from __future__ import annotations

import pytest

from harness.comparing.demands import judge_demands, parse
from harness.comparing.machines import Difference
from harness.comparing.results import Exact, Machine, Mean
from reports import units
from reports.answer import changes as answer
from reports.answer.changes import COLUMNS, MEAN_COLUMNS, NAMED_AT_MOST
from tests.support.comparisons import at, case, changes_of, compared


def demanded(changes, *texts):
    return answer.demand_lines(changes, judge_demands(changes, [parse(text) for text in texts]))


def failed(status, n=64, *, base="ok", reason="why"):
    """Return a case that has this status on the new side, and another on the base's; None where it lacks it."""
    before = base and at(n, status=base)
    return compared(at(n, status=status, reason=reason), base=before, outcome="not comparable", reason="x in NEW")


def test_a_title_names_both_sides():
    assert answer.title(changes_of()) == "after against before"
    assert answer.title(changes_of(base="loop", by="implementation")) == "Implementations of after, each against loop"


def test_a_headline_counts_outcomes_worst_first_and_leaves_out_those_of_none():
    outcomes = ("same", "slower", "slower", "faster", "inconclusive")
    found = changes_of(*(compared(at(n), outcome=one) for n, one in enumerate(outcomes, start=64)))
    assert answer.headline(found) == "5 of 5 cases compare: 2 slower, 1 faster, 1 inconclusive and 1 same."


def test_a_headline_says_why_the_rest_does_not_compare():
    found = changes_of(compared(at(64), outcome="same"), compared(at(128), reason="only in NEW: other shapes"))
    assert answer.headline(found) == "1 of 2 cases compares: 1 same. Not compared: 1 only in NEW."


def test_a_headline_where_nothing_compares():
    assert answer.headline(changes_of()) == "Nothing compares: neither side has a case."
    alone = changes_of(compared(at(64), reason="only in BASE"))
    assert answer.headline(alone) == "No time compares, of 1 case: 1 only in BASE."


def test_the_commonest_reason_comes_first_without_its_details():
    reasons = ("oom in NEW: 4 GiB", "only in NEW", "oom in NEW: 8 GiB")
    found = changes_of(*(compared(at(n), reason=one) for n, one in enumerate(reasons, start=64)))
    assert answer.reasons(found) == "2 oom in NEW and 1 only in NEW"


def test_reasons_beyond_a_bound_are_counted():
    kinds = NAMED_AT_MOST + 2
    found = changes_of(*(compared(at(64 + n), reason=f"kind {n}") for n in range(kinds)))
    assert answer.reasons(found).endswith("1 kind 5 and 2 for other reasons")
    assert sum(int(part.split()[0]) for part in answer.reasons(found).replace(" and ", ", ").split(", ")) == kinds


def test_another_machine_is_named_once():
    found = changes_of(*(compared(at(n), reason="other machine: cpu A, B in NEW") for n in (64, 128)))
    assert answer.reasons(found) == "2 other machine (cpu A, B in NEW)"


def test_a_comparison_of_equals_has_no_remark():
    assert answer.remarks(changes_of(compared(at(64)))) == []


def test_changed_sources_are_named_once_and_beyond_a_bound_counted():
    names = [f"kernel-{n}" for n in range(NAMED_AT_MOST + 1)]
    cases = [compared(at(n, name), has_new_source=True) for name in names for n in (64, 128)]
    assert answer.remarks(changes_of(*cases[:2])) == ["Changed source: kernel-0."]
    [said] = answer.remarks(changes_of(*cases))
    assert said == f"Changed source: {', '.join(names[:NAMED_AT_MOST])} and 1 more."


def test_other_software_is_named_with_both_versions():
    software = [Difference(fact="mkl", base="1", new=None), Difference(fact="torch", base="2.13", new="2.14")]
    assert answer.remarks(changes_of(compared(at(64)), software=software)) == [
        "Other software: mkl 1 → none; torch 2.13 → 2.14."
    ]


def test_another_machine_is_a_remark_with_the_units_of_its_facts():
    machine = [Difference(fact="memory_bytes", base=2**34, new=2**35)]
    found = changes_of(compared(at(64), outcome="not comparable", reason="other machine: x"), machine=machine)
    assert answer.remarks(found) == [
        "Other machine: memory_bytes 16.0 GiB → 32.0 GiB. Memory and operations compare all the same."
    ]


@pytest.mark.parametrize(("unknown", "said"), [(["a"], "a names no machine"), (["a", "b"], "a and b name no machine")])
def test_sides_that_name_no_machine_are_said_where_times_compare(unknown, said):
    assert answer.remarks(changes_of(compared(at(64)), unknown=unknown)) == [
        f"{said}: whether it is the same is for you to know."
    ]
    assert answer.remarks(changes_of(compared(at(64), reason="only in NEW"), unknown=unknown)) == []


def test_a_machine_that_moved_is_told_by_what_shows_it():
    moved = Machine(canary=1.1, unchanged=0.9, scatter=2.0, controls=1234)
    canary, together, scatter, wider = answer.remarks(changes_of(compared(at(64)), moved=moved))
    assert canary == "The machine moved: the undisturbed canary takes 1.10× its time."
    assert together.startswith("Cases whose source is the same moved together by −10 % (median over")
    assert "of 1,234 cases)" in together
    assert scatter.endswith("scatter 2.00× as far as their intervals allow.")
    assert wider == "Intervals of ratios are wider by that."


@pytest.mark.parametrize(
    "moved", [None, Machine(), Machine(canary=1.009, unchanged=0.991, scatter=1.01), Machine(canary=1.0)]
)
def test_a_machine_that_moved_by_less_than_a_hundredth_is_as_it_was(moved):
    assert answer.remarks(changes_of(compared(at(64)), moved=moved)) == []


def test_a_wrong_answer_is_no_longer_right_only_where_it_was():
    found = changes_of(failed("disagreed", 64), failed("fallback", 128, base=None), failed("invalid", 256, base="oom"))
    assert answer.remarks(found) == [
        "No longer right: batched n 64, d 64, heads 2, batch 1, float32.",
        "Not right: batched n 128, d 64, heads 2, batch 1, float32; batched n 256, d 64, heads 2, batch 1, float32.",
    ]


def test_beside_another_implementation_a_wrong_answer_was_never_right_and_a_crash_is_no_loss():
    found = changes_of(failed("disagreed", 64), failed("crashed", 128), by="implementation")
    assert answer.remarks(found) == ["Not right: batched n 64, d 64, heads 2, batch 1, float32."]


def test_a_wrong_answer_that_was_wrong_before_is_no_remark():
    assert answer.remarks(changes_of(failed("disagreed", base="invalid"))) == []


def test_what_no_longer_runs_is_named_and_beyond_a_bound_counted():
    many = [failed("crashed", 64 + n) for n in range(NAMED_AT_MOST + 3)]
    [said] = answer.remarks(changes_of(*many))
    assert said.startswith("No longer run to their end: batched n 64, ")
    assert said.endswith(" and 3 more.")
    assert said.count("batched") == NAMED_AT_MOST
    assert answer.remarks(changes_of(*many[:-2]))[0].endswith(" and 1 more.")
    assert "more" not in answer.remarks(changes_of(*many[:-3]))[0].removeprefix("No longer")


def test_exact_figures_that_changed_are_counted_and_those_to_more():
    cases = [
        compared(at(64), memory=Exact(base=1, new=2), operations=Exact(base=5, new=5)),
        compared(at(128), memory=Exact(base=2, new=1)),
    ]
    assert answer.remarks(changes_of(*cases)) == ["Extra memory changed in 2 cases, in 1 to more."]
    fewer = changes_of(compared(at(64), operations=Exact(base=5, new=4)))
    assert answer.remarks(fewer) == ["Operations changed in 1 case, in 0 to more."]
    assert answer.remarks(changes_of(*cases, by="implementation")) == []


def test_a_demand_that_fails_names_the_worst_first_by_its_own_quantity():
    cases = [
        compared(at(64), outcome="slower", ratio=1.2, memory=Exact(base=100, new=300)),
        compared(at(128), outcome="slower", ratio=1.5, memory=Exact(base=100, new=200)),
    ]
    slower, memory = demanded(changes_of(*cases), "slower:5%", "memory:1%")
    small, large = (f"batched n {n}, d 64, heads 2, batch 1, float32" for n in (64, 128))
    assert slower == f"--fail-on slower:5%: FAILED in 2 of 2 cases: {large} (1.50×); {small} (1.20×)"
    assert memory == f"--fail-on memory:1%: FAILED in 2 of 2 cases: {small} (3.00×); {large} (2.00×)"


def test_what_came_of_nothing_is_the_worst_and_has_no_factor():
    cases = [compared(at(64), operations=Exact(base=1, new=9)), compared(at(128), operations=Exact(base=0, new=1))]
    [said] = demanded(changes_of(*cases), "operations")
    assert said.partition("cases: ")[2] == (
        "batched n 128, d 64, heads 2, batch 1, float32; batched n 64, d 64, heads 2, batch 1, float32 (9.00×)"
    )


def test_a_demand_that_fails_names_a_few_and_counts_the_rest():
    cases = [compared(at(64 + n), outcome="slower", ratio=1.2) for n in range(NAMED_AT_MOST + 2)]
    [said] = demanded(changes_of(*cases, compared(at(9), reason="only in NEW")), "slower:5%")
    assert said.count("(1.20×)") == NAMED_AT_MOST
    assert said.endswith(" and 2 more; 1 of 9 can't be judged")


def test_wrong_answers_fail_a_demand_by_their_names():
    [said] = demanded(changes_of(compared(at(64)), failed("disagreed", 128)), "disagreed")
    assert said == ("--fail-on disagreed: FAILED in 1 of 2 cases: batched n 128, d 64, heads 2, batch 1, float32")


def test_a_demand_that_holds_says_what_it_could_not_rule_out():
    sure, unsure = compared(at(64), high=1.01), compared(at(128), high=1.2)
    assert demanded(changes_of(sure), "slower:5%") == [
        "--fail-on slower:5%: holds in 1 case; the interval rules it out in 1"
    ]
    assert demanded(changes_of(sure, unsure), "slower:5%") == [
        "--fail-on slower:5%: holds in 2 cases; the interval rules it out in 1, not in 1"
    ]


def test_an_exact_demand_that_holds_says_how_much_it_could_not_judge():
    cases = [compared(at(64), memory=Exact(base=1, new=1)), compared(at(128))]
    assert demanded(changes_of(*cases), "memory") == ["--fail-on memory:0%: holds in 1 case; 1 of 2 can't be judged"]


def test_what_did_not_repeat_is_counted():
    found = changes_of(compared(at(64), outcome="slower", ratio=1.2, high=1.3))
    [one] = judge_demands(found, [parse("slower:5%")])
    cleared = one.model_copy(update={"breaches": [], "cleared": one.breaches})
    assert answer.demand_lines(found, [cleared]) == [
        "--fail-on slower:5%: holds in 1 case; the interval rules it out in 0, not in 1; 1 case did not repeat"
    ]


def test_a_demand_with_nothing_to_judge_says_why():
    assert demanded(changes_of(), "memory") == ["--fail-on memory:0%: nothing to judge; neither side has a case"]
    assert demanded(changes_of(compared(at(64), reason="only in NEW")), "slower:5%") == [
        "--fail-on slower:5%: nothing to judge; 1 only in NEW"
    ]
    timed = changes_of(compared(at(64)), compared(at(128), reason="only in NEW"))
    assert demanded(timed, "memory") == ["--fail-on memory:0%: nothing to judge; no case has the figure on both sides"]


def test_rows_stand_from_the_worst_to_the_best():
    cases = {
        "not comparable": compared(at(1), reason="only in NEW"),
        "faster": compared(at(2), outcome="faster", ratio=0.5),
        "same": compared(at(3)),
        "inconclusive": compared(at(4), outcome="inconclusive"),
        "grown": compared(at(5), memory=Exact(base=1, new=2)),
        "of nothing": compared(at(6), memory=Exact(base=0, new=1)),
        "slower": compared(at(7), outcome="slower", ratio=1.2),
        "slowest": compared(at(8), outcome="slower", ratio=1.3),
        "wrong": failed("disagreed", 9),
    }
    found = changes_of(*cases.values())
    assert [row.point.partition(",")[0] for row in answer.rows(found, all_cases=True)] == [
        f"n {n}" for n in range(9, 0, -1)
    ]
    assert len(answer.rows(found)) == 6


def test_a_case_is_worth_a_row_where_something_changed():
    found = changes_of()
    assert answer.is_changed(compared(at(64), outcome="faster"), found)
    assert answer.is_changed(compared(at(64), operations=Exact(base=2, new=1)), found)
    assert answer.is_changed(failed("crashed"), found)
    for outcome in ("same", "inconclusive", "not comparable"):
        assert not answer.is_changed(compared(at(64), outcome=outcome, memory=Exact(base=1, new=1)), found)


def test_memory_and_operations_of_two_implementations_are_no_change():
    found = changes_of(by="implementation")
    more = compared(at(64), memory=Exact(base=1, new=2))
    assert not answer.is_changed(more, found)
    assert answer.badness(more, found)[0] > answer.badness(more, changes_of())[0]


def test_a_row_has_every_figure_with_its_unit():
    one = compared(
        at(64, seconds=1.3e-3), base=at(64), outcome="slower", ratio=1.3, low=1.234, high=1.366,
        memory=Exact(base=2048, new=4096), operations=Exact(base=1000, new=1000), error=Exact(base=0.5, new=0.7123),
        has_new_source=True,
    )  # fmt: skip
    assert dict(zip(COLUMNS, answer.row(one).cells, strict=True)) == {
        "outcome": "slower",
        "scenario": "sequence-length",
        "implementation": "batched",
        "point": "n 64, d 64, heads 2, batch 1, float32",
        "base": "1.00 ms",
        "new": "1.30 ms",
        "ratio": "1.30×",
        "95 % interval": "1.23 to 1.37",
        "extra memory": "2.00 KiB → 4.00 KiB",
        "operations": "1.00 k",
        "error / budget": "0.50 → 0.71",
        "remark": "changed source",
    }


def test_what_a_case_lacks_is_a_dash_and_the_reason_a_remark():
    row = answer.row(compared(None, base=at(64), outcome="not comparable", reason="only in BASE"))
    assert (row.base, row.remark) == ("1.00 ms", "only in BASE")
    assert {row.new, row.ratio, row.interval, row.memory, row.operations, row.error} == {units.ABSENT}


def test_a_reason_and_a_changed_source_are_both_said():
    one = compared(at(64), reason="oom in NEW", has_new_source=True)
    assert answer.remark(one) == "oom in NEW; changed source"


@pytest.mark.parametrize(
    ("base", "new", "said"),
    [
        (5_000_000, 5_000_100, "5.00 M (+0.0020 %)"),
        (5_000_000, 4_999_000, "5.00 M (−0.020 %)"),
        (10**6, 10**6, "1.00 M"),
        (10**6, 2 * 10**6, "1.00 M → 2.00 M"),
        (0, 1, "0 → 1.00"),
    ],
)
def test_a_change_of_an_exact_figure_is_seen_however_small(base, new, said):
    assert answer.row(compared(at(64), operations=Exact(base=base, new=new))).operations == said


def test_the_error_s_last_digits_are_no_change():
    assert answer.row(compared(at(64), error=Exact(base=0.5, new=0.5001))).error == "0.50"


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({}, "n 64, d 64, heads 2, batch 1, float32"),
        ({"direction": "backward"}, "n 64, d 64, heads 2, batch 1, float32, backward"),
        ({"cache": "cold", "dtype": "bfloat16"}, "n 64, d 64, heads 2, batch 1, bfloat16, cold"),
        ({"point": {}}, ", float32"),
    ],
)
def test_a_point_names_what_is_not_usual(known, said):
    one = compared(case())
    assert answer.point(one.model_copy(update={"case": one.case.model_copy(update=known)})) == said


def test_an_interval_needs_both_ends():
    assert answer.interval(0.98765, 1.2345) == "0.988 to 1.23"
    assert answer.interval(None, 1.0) == answer.interval(1.0, None) == units.ABSENT


def test_means_are_written_under_their_columns():
    mean = Mean(scenario="heads", implementation="loop", cases=1234, ratio=1.05, low=1.01, high=1.09)
    [cells] = answer.mean_rows(changes_of(means=[mean]))
    assert dict(zip(MEAN_COLUMNS, cells, strict=True)) == {
        "scenario": "heads",
        "implementation": "loop",
        "cases": "1,234",
        "mean ratio": "1.05×",
        "95 % interval": "1.01 to 1.09",
    }
    assert answer.mean_rows(changes_of()) == []
