"""Counts decide, memory decides what claims memory, and time alone confirms nothing."""

from __future__ import annotations

import json

import pytest

from harness.policy import ScalingPolicy
from harness.results.reasons import Held, OnlyDeclared, SeeSlopes
from harness.results.verdicts_file import Verdicts
from harness.scaling.law import costs
from harness.scaling.reasons import MeasureSizes, TooFewSizes
from harness.verdicts.judging import judge_claims, summary_rows, unexpected
from scenarios.claims import (
    A1_LENGTH,
    A1_WIDTH,
    A2,
    A3,
    A5,
    B1,
    B3_PRODUCTS,
    B3_SOFTMAX,
    B4,
    B5,
    CLAIMS,
)
from tests.support.sweeps import QUADRATIC, SIZES, counts, degrees, overall, record, scenario, square, sweep


def refused(record, status="disagreed"):
    return record.model_copy(update={"status": status, "time": None, "memory": None})


def test_no_law_is_drawn_from_the_sizes_that_remain_where_answers_were_wrong():
    records = sweep(square)
    wrong = [refused(record) if record.case.point["n"] > 2048 else record for record in records]
    verdicts = judge_claims(wrong, [scenario(A2)], [degrees()])
    verdict = overall(verdicts)
    assert verdict.verdict == "inconclusive"
    assert (verdict.reason.axis, verdict.reason.sizes, verdict.reason.right) == ("n", [3072, 4096], 11)
    along = {v.axis: v.verdict for v in verdicts.verdicts if v.quantity == "operations"}
    assert along == {"n": "inconclusive", "d": "confirmed", "heads": "confirmed", "batch": "confirmed"}
    assert overall(judge_claims(records, [scenario(A2)], [degrees()])).verdict == "confirmed"


def test_a_size_that_ran_out_of_memory_or_time_spoils_no_law():
    for status in ("oom", "timeout", "crashed", "unsupported", "fallback", "invalid"):
        records = sweep(square)
        records[-1] = refused(records[-1], status)
        assert overall(judge_claims(records, [scenario(A2)], [degrees()])).verdict == "confirmed", status


def test_a_wrong_answer_of_one_implementation_or_direction_spoils_no_other():
    others = [refused(one) for one in sweep(square, implementation="other")[-3:]]
    backward = [refused(one) for one in sweep(square)[-1:]]
    backward = [
        one.model_copy(update={"case": one.case.model_copy(update={"direction": "backward"})}) for one in backward
    ]
    assert (
        overall(judge_claims([*sweep(square), *others, *backward], [scenario(A2)], [degrees()])).verdict == "confirmed"
    )


def test_a_wrong_answer_beside_a_sweep_spoils_only_the_axis_it_lies_on():
    beside = refused(record(1e-3, point={"d": 192, "heads": 2, "batch": 1, "n": 256}))
    verdicts = judge_claims([*sweep(square), beside], [scenario(A2)], [degrees()])
    along = {v.axis: v.verdict for v in verdicts.verdicts if v.quantity == "operations"}
    assert along == {"n": "confirmed", "d": "inconclusive", "heads": "confirmed", "batch": "confirmed"}


def test_lengths_of_keys_that_are_wrong_are_found_beside_several_queries():
    point = {"n_q": 64, "d": 16, "causal": True}
    claim = A2.model_copy(update={"exponents": {"n_k": 1}})
    keys = [16384, 32704, 32768, 40000, 65536, 65600]
    records = [record(1e-9 * n, point={**point, "n_k": n}) for n in keys]
    assert overall(judge_claims(records, [scenario(claim)], [degrees()])).verdict == "confirmed"
    wrong = [refused(one) if one.case.point["n_k"] > 32768 else one for one in records]
    verdict = overall(judge_claims(wrong, [scenario(claim)], [degrees()]))
    assert (verdict.verdict, verdict.reason.sizes) == ("inconclusive", [40000, 65536, 65600])


def test_what_a_mask_saves_is_open_where_masked_answers_were_wrong():
    records = [
        record(
            seconds * n * n,
            point={"n": n, "causal": causal},
        )
        for n in (256, 512, 1024)
        for causal, seconds in ((False, 2e-9), (True, 1e-9))
    ]
    found = degrees(causal_share=0.5)
    assert overall(judge_claims(records, [scenario(B5)], [found])).verdict == "confirmed"
    records[-1] = refused(records[-1])
    verdict = overall(judge_claims(records, [scenario(B5)], [found]))
    assert (verdict.verdict, verdict.reason.sizes) == ("inconclusive", [1024])


def test_counts_memory_and_time_together_confirm():
    verdict = overall(judge_claims(sweep(square), [scenario(A2)], [degrees()]))
    assert verdict.verdict == "confirmed"
    assert verdict.reason.held == [Held(quantity="operations", exponents={"n": 2, "d": 1, "heads": 1, "batch": 1})]
    assert verdict.reason.consistent_along == ["n"]
    assert verdict.low <= 2.0 <= verdict.high
    assert verdict.evidence["by"]["time along n"] == "consistent"


def test_every_quantity_and_axis_has_a_row_of_its_own():
    rows = judge_claims(sweep(square), [scenario(A2)], [degrees()]).verdicts
    found = {(row.quantity, row.axis): row.verdict for row in rows}
    assert found["operations", "n"] == "confirmed"
    assert found["operations", "heads"] == "confirmed"
    assert found["time", "n"] == "consistent"
    assert [row.exponent for row in rows if (row.quantity, row.axis) == ("operations", "d")] == [1.0]


def test_time_alone_is_never_more_than_consistent():
    verdict = overall(judge_claims(sweep(square), [scenario(A2)]))
    assert verdict.verdict == "consistent"
    assert (verdict.reason.kind, verdict.reason.time.kind) == ("time alone", "time law")


def test_what_is_only_declared_confirms_nothing():
    declared = degrees({}, how="declared", reason="mine::attend hides its work")
    verdict = overall(judge_claims(sweep(square), [scenario(A2)], [declared]))
    assert verdict.verdict == "consistent"
    assert verdict.reason.exact == OnlyDeclared(cause="mine::attend hides its work")


def test_counts_of_another_degree_refute_whatever_time_says():
    linear = degrees({**QUADRATIC, "n": counts(lambda n: 100 * n)})
    verdict = overall(judge_claims(sweep(square), [scenario(A2)], [linear]))
    assert verdict.verdict == "refuted"
    assert (verdict.reason.kind, verdict.reason.degree, verdict.reason.axis) == ("counted degree", 1, "n")


def test_time_that_does_not_follow_the_counts_leaves_it_open():
    verdict = overall(judge_claims(sweep(lambda n: 1e-6 * n), [scenario(A2)], [degrees()]))
    assert verdict.verdict == "inconclusive"
    assert (verdict.reason.kind, verdict.reason.time.law.where) == ("time differs", "outside")
    assert verdict.to_decide == SeeSlopes()


def test_time_alone_against_the_claim_is_contradicted():
    assert overall(judge_claims(sweep(lambda n: 1e-6 * n), [scenario(A2)])).verdict == "contradicted"


def test_a_short_sweep_is_confirmed_by_counts_and_says_what_time_lacks():
    verdict = overall(judge_claims(sweep(square, sizes=SIZES[:5]), [scenario(A2)], [degrees()]))
    assert verdict.verdict == "confirmed"
    assert verdict.reason.inconclusive_along == ["n"]
    assert verdict.reason.why_inconclusive.law == TooFewSizes(sizes=5, at_least=7)
    assert (verdict.low, verdict.high) == (2.0, 2.0)  # what is known is the count
    times = [v for v in judge_claims(sweep(square, sizes=SIZES[:5]), [scenario(A2)]).verdicts if v.quantity == "time"]
    assert times[0].to_decide == MeasureSizes(sizes=11, start=64.0, end=4096.0)


def test_a_verdict_on_time_has_the_law_that_was_fitted_under_the_policy_given():
    records = sweep(square)
    policy = ScalingPolicy(transition_octaves=1.0)
    row = next(v for v in judge_claims(records, [scenario(A2)], policy=policy).verdicts if v.quantity == "time")
    assert row.cases == [record.case.id for record in records]
    assert costs(row.law, SIZES) == pytest.approx([record.time.best for record in records], rel=0.06)
    assert (row.law.first, row.law.last, row.law.sizes, row.law.exponent) == (64.0, 4096.0, 13, row.exponent)
    assert row.law.step is None or row.law.step.octaves == 1.0
    assert (
        overall(judge_claims(records, [scenario(A2)])).law is None
    )  # a verdict over all has the parts' figures, no law


def test_failed_cases_are_left_out():
    failed = record(1.0, point={"n": 8192, "d": 64, "heads": 2, "batch": 1})
    failed = failed.model_copy(update={"status": "oom", "time": None, "reason": "out of memory"})
    rows = judge_claims([*sweep(square), failed], [scenario(A2)], [degrees()]).verdicts
    assert next(row for row in rows if row.quantity == "time").evidence["sizes"] == SIZES


def test_a_refuted_claim_fails_only_where_arithmetic_does_not_refute_it():
    linear = degrees({**QUADRATIC, "n": counts(lambda n: 100 * n)})
    assert [v.claim for v in unexpected(judge_claims(sweep(square), [scenario(A2, A5)], [linear]))] == ["A2"]
    assert unexpected(judge_claims(sweep(square), [scenario(A2, A5)], [degrees()])) == []


def test_the_short_table_has_a_row_a_claim_and_implementation():
    rows = summary_rows(judge_claims(sweep(square), [scenario(A2, A5)], [degrees()]))
    assert [row[:3] for row in rows] == [
        ("A2", "batched (float32)", "confirmed"),
        ("A5", "batched (float32)", "refuted"),
    ]
    assert rows[0][3].startswith("n: ")
    assert rows[1][3] == "n: 2.00"


def test_a_claim_is_about_every_option_of_who_it_is_about():
    claim = A2.model_copy(update={"about": ["online"]})
    records = [*sweep(square, implementation="online:block=64"), *sweep(square, implementation="onliner")]
    assert {row.implementation for row in judge_claims(records, [scenario(claim)]).verdicts} == {"online:block=64"}


def test_a_claim_is_judged_only_for_what_it_is_about():
    assert judge_claims(sweep(square, implementation="online", memory=lambda n: n), [scenario(B1)]).verdicts == []


def test_projections_are_linear_in_n_and_quadratic_in_width():
    name = "phase/projections"
    axes = {"n": counts(lambda n: 600 * n), "width": counts(lambda w: 60 * w * w)}
    found = degrees(axes, implementation=name, problem="multihead")
    records = sweep(lambda n: 1e-6 * n, base={"width": 512, "heads": 8}, implementation=name, problem="multihead")
    rows = judge_claims(records, [scenario(A1_LENGTH, A1_WIDTH, problem="multihead")], [found]).verdicts
    assert [row.verdict for row in rows if row.quantity == "all"] == ["confirmed", "refuted"]
    assert (rows[-1].arithmetic, rows[-1].form, rows[-1].source) == ("refuted", "power", "article")


def test_the_weighted_sum_is_not_linear():
    name = "phase/weighted-sum"
    found = degrees({"n": counts(lambda n: 64 * n * n)}, implementation=name, problem="multihead")
    records = sweep(square, base={"width": 512, "heads": 8}, implementation=name, problem="multihead")
    verdict = overall(judge_claims(records, [scenario(A3, problem="multihead")], [found]))
    assert verdict.verdict == "refuted"
    assert verdict.reason.degree == 2


def test_more_heads_at_a_fixed_width_change_softmax_only():
    records = sweep(square)
    rows = judge_claims(records, [scenario(B3_PRODUCTS, B3_SOFTMAX)], [degrees()]).verdicts
    assert [row.verdict for row in rows if row.quantity == "all"] == ["confirmed", "confirmed"]


def test_decoding_is_linear_in_the_cache():
    base = {"n_q": 1, "d": 64, "heads": 8, "batch": 1}
    sizes = [256 * 2**i for i in range(9)]
    records = sweep(lambda n: 3e-6 + 1e-8 * n, base=base, axis="n_k", sizes=sizes)
    verdict = overall(judge_claims(records, [scenario(B4)], [degrees()]))
    assert verdict.verdict == "confirmed"
    assert verdict.evidence["by"]["time along n_k"] == "consistent"


def test_the_same_claim_of_several_scenarios_is_judged_once():
    again = scenario(A2).model_copy(update={"name": "again"})
    overall(judge_claims(sweep(square), [scenario(A2), again], [degrees()]))


def test_all_claims_of_the_lesson_are_there_and_verdicts_survive_json():
    assert {claim.id for claim in CLAIMS} == {"A1", "A2", "A3", "A4", "A5", "A6", "B1", "B2", "B3", "B4", "B5"}
    records = sweep(square, memory=lambda n: 16 * n * n) + sweep(square, implementation="sdpa-flash")
    verdicts = judge_claims(records, [scenario(*CLAIMS)], [degrees()])
    document = json.loads(json.dumps(verdicts.model_dump(mode="json", by_alias=True), allow_nan=False))
    assert Verdicts.model_validate(document) == verdicts
