"""Counts decide, memory decides what claims memory, and time alone confirms nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.policy import ScalingPolicy
from harness.records import AxisCounts, Case, Counts, Degrees, Memory, Record, Time, case_id
from harness.results.reasons import FiniteDegree, Held, MeasureMemory, OnlyDeclared, SeeSlopes
from harness.results.verdicts_file import Verdicts
from harness.scaling.law import costs
from harness.scaling.reasons import MeasureSizes, TooFewSizes
from harness.verdicts.judging import judge, summary_rows, unexpected
from scenarios.claims import (
    A1_LENGTH,
    A1_WIDTH,
    A2,
    A3,
    A4,
    A5,
    A6,
    B1,
    B2,
    B3_PRODUCTS,
    B3_SOFTMAX,
    B4,
    B5,
    CLAIMS,
)
from scenarios.scenario import Axis, Scenario

SIZES = [64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096]


def scenario(*claims, problem="attention"):
    return Scenario(
        name="test", question="?", problem=problem, axes=[Axis(name="n", values=SIZES)], claims=list(claims)
    )


def record(seconds, *, point, implementation="batched", problem="attention", extra=None, phases=None, **options):
    identity = {"problem": problem, "point": point, "dtype": "float32", "device": "cpu", "direction": "forward"}
    identity |= {"cache": "hot", "implementation": implementation}
    samples = [seconds * factor for factor in (1.01, 1.0, 1.02, 1.0, 1.01, 1.03)]
    interval = {"low": 0.98 * seconds, "high": 1.02 * seconds}
    time = Time(samples=samples, rounds=3, round_lengths=[2, 2, 2], median=seconds, best=seconds, **interval)
    return Record(
        case=Case(id=case_id(**identity), scenario="test", **identity),
        status="ok",
        time=time,
        memory=None if extra is None else Memory(inputs=0, outputs=0, peak=extra),
        counts=None if phases is None else Counts(operations=1, attended=1, ideal_bytes=1, phases=phases),
        **options,
    )


def sweep(law, *, base=None, axis="n", sizes=SIZES, memory=None, phases=None, noise=0.01, **options):
    generator = np.random.default_rng(1)
    base = {"d": 64, "heads": 2, "batch": 1} if base is None else base
    return [
        record(
            law(n) * float(np.exp(generator.normal(0, noise))),
            point={**base, axis: n},
            extra=None if memory is None else int(memory(n)),
            phases=None if phases is None else phases(n),
            **options,
        )
        for n in sizes
    ]


def counts(law, *, sizes=range(1, 7), calls=lambda _: 7, products=None):
    from harness.scaling.exact import degree

    values = [law(n) for n in sizes]
    some = values if products is None else [products(n) for n in sizes]
    ran = [calls(n) for n in sizes]
    return AxisCounts(
        sizes=list(sizes),
        operations=values,
        products=some,
        calls=ran,
        degree=degree(values),
        products_degree=degree(some),
        calls_degree=degree(ran),
    )


QUADRATIC = {
    "n": counts(lambda n: 256 * n * n + 8 * n),
    **{axis: counts(lambda n: 256 * n + 3) for axis in ("d", "heads", "batch", "n_k")},
    "heads at fixed width": counts(lambda h: 4096 + 12 * h, products=lambda _: 4096),
}


def degrees(axes=None, *, implementation="batched", problem="attention", **options):
    fields = {"problem": problem, "implementation": implementation, "how": "counted"}
    return Degrees(**{**fields, "axes": QUADRATIC if axes is None else axes, **options})


def overall(verdicts, claim=None):
    found = [v for v in verdicts.verdicts if v.quantity == "all" and claim in {None, v.claim}]
    assert len(found) == 1, found
    return found[0]


def square(n):
    return 5e-6 + 2e-9 * n * n


def refused(record, status="disagreed"):
    return record.model_copy(update={"status": status, "time": None, "memory": None})


@pytest.mark.parametrize("status", ["disagreed", "invalid"])
def test_no_law_is_drawn_from_the_sizes_that_remain_where_answers_were_wrong(status):
    records = sweep(square)
    wrong = [refused(record, status) if record.case.point["n"] > 2048 else record for record in records]
    verdicts = judge(wrong, [scenario(A2)], [degrees()])
    verdict = overall(verdicts)
    assert verdict.verdict == "inconclusive"
    assert (verdict.reason.axis, verdict.reason.sizes, verdict.reason.right) == ("n", [3072, 4096], 11)
    along = {v.axis: v.verdict for v in verdicts.verdicts if v.quantity == "operations"}
    assert along == {"n": "inconclusive", "d": "confirmed", "heads": "confirmed", "batch": "confirmed"}
    assert overall(judge(records, [scenario(A2)], [degrees()])).verdict == "confirmed"


def test_a_size_that_ran_out_of_memory_or_time_spoils_no_law():
    for status in ("oom", "timeout", "crashed", "unsupported", "fallback"):
        records = sweep(square)
        records[-1] = refused(records[-1], status)
        assert overall(judge(records, [scenario(A2)], [degrees()])).verdict == "confirmed", status


def test_a_wrong_answer_of_one_implementation_or_direction_spoils_no_other():
    others = [refused(one) for one in sweep(square, implementation="other")[-3:]]
    backward = [refused(one) for one in sweep(square)[-1:]]
    backward = [
        one.model_copy(update={"case": one.case.model_copy(update={"direction": "backward"})}) for one in backward
    ]
    assert overall(judge([*sweep(square), *others, *backward], [scenario(A2)], [degrees()])).verdict == "confirmed"


def test_a_wrong_answer_beside_a_sweep_spoils_only_the_axis_it_lies_on():
    beside = refused(record(1e-3, point={"d": 192, "heads": 2, "batch": 1, "n": 256}))
    verdicts = judge([*sweep(square), beside], [scenario(A2)], [degrees()])
    along = {v.axis: v.verdict for v in verdicts.verdicts if v.quantity == "operations"}
    assert along == {"n": "confirmed", "d": "inconclusive", "heads": "confirmed", "batch": "confirmed"}


def test_lengths_of_keys_that_are_wrong_are_found_beside_several_queries():
    point = {"n_q": 64, "d": 16, "causal": True}
    claim = A2.model_copy(update={"exponents": {"n_k": 1}})
    keys = [16384, 32704, 32768, 40000, 65536, 65600]
    records = [record(1e-9 * n, point={**point, "n_k": n}) for n in keys]
    assert overall(judge(records, [scenario(claim)], [degrees()])).verdict == "confirmed"
    wrong = [refused(one) if one.case.point["n_k"] > 32768 else one for one in records]
    verdict = overall(judge(wrong, [scenario(claim)], [degrees()]))
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
    assert overall(judge(records, [scenario(B5)], [found])).verdict == "confirmed"
    records[-1] = refused(records[-1])
    verdict = overall(judge(records, [scenario(B5)], [found]))
    assert (verdict.verdict, verdict.reason.sizes) == ("inconclusive", [1024])


def test_counts_memory_and_time_together_confirm():
    verdict = overall(judge(sweep(square), [scenario(A2)], [degrees()]))
    assert verdict.verdict == "confirmed"
    assert verdict.reason.held == [Held(quantity="operations", exponents={"n": 2, "d": 1, "heads": 1, "batch": 1})]
    assert verdict.reason.consistent_along == ["n"]
    assert verdict.low <= 2.0 <= verdict.high
    assert verdict.evidence["by"]["time along n"] == "consistent"


def test_every_quantity_and_axis_has_a_row_of_its_own():
    rows = judge(sweep(square), [scenario(A2)], [degrees()]).verdicts
    found = {(row.quantity, row.axis): row.verdict for row in rows}
    assert found["operations", "n"] == "confirmed"
    assert found["operations", "heads"] == "confirmed"
    assert found["time", "n"] == "consistent"
    assert [row.exponent for row in rows if (row.quantity, row.axis) == ("operations", "d")] == [1.0]


def test_time_alone_is_never_more_than_consistent():
    verdict = overall(judge(sweep(square), [scenario(A2)]))
    assert verdict.verdict == "consistent"
    assert (verdict.reason.kind, verdict.reason.time.kind) == ("time alone", "time law")


def test_what_is_only_declared_confirms_nothing():
    declared = degrees({}, how="declared", reason="mine::attend hides its work")
    verdict = overall(judge(sweep(square), [scenario(A2)], [declared]))
    assert verdict.verdict == "consistent"
    assert verdict.reason.exact == OnlyDeclared(cause="mine::attend hides its work")


def test_counts_of_another_degree_refute_whatever_time_says():
    linear = degrees({**QUADRATIC, "n": counts(lambda n: 100 * n)})
    verdict = overall(judge(sweep(square), [scenario(A2)], [linear]))
    assert verdict.verdict == "refuted"
    assert (verdict.reason.kind, verdict.reason.degree, verdict.reason.axis) == ("counted degree", 1, "n")


def test_time_that_does_not_follow_the_counts_leaves_it_open():
    verdict = overall(judge(sweep(lambda n: 1e-6 * n), [scenario(A2)], [degrees()]))
    assert verdict.verdict == "inconclusive"
    assert (verdict.reason.kind, verdict.reason.time.law.where) == ("time differs", "outside")
    assert verdict.to_decide == SeeSlopes()


def test_time_alone_against_the_claim_is_contradicted():
    assert overall(judge(sweep(lambda n: 1e-6 * n), [scenario(A2)])).verdict == "contradicted"


def test_a_short_sweep_is_confirmed_by_counts_and_says_what_time_lacks():
    verdict = overall(judge(sweep(square, sizes=SIZES[:5]), [scenario(A2)], [degrees()]))
    assert verdict.verdict == "confirmed"
    assert verdict.reason.inconclusive_along == ["n"]
    assert verdict.reason.why_inconclusive.law == TooFewSizes(sizes=5, at_least=7)
    assert (verdict.low, verdict.high) == (2.0, 2.0)  # what is known is the count
    times = [v for v in judge(sweep(square, sizes=SIZES[:5]), [scenario(A2)]).verdicts if v.quantity == "time"]
    assert times[0].to_decide == MeasureSizes(sizes=11, start=64.0, end=4096.0)


def test_a_verdict_on_time_has_the_law_that_was_fitted_under_the_policy_given():
    records = sweep(square)
    policy = ScalingPolicy(transition_octaves=1.0)
    row = next(v for v in judge(records, [scenario(A2)], policy=policy).verdicts if v.quantity == "time")
    assert row.cases == [record.case.id for record in records]
    assert costs(row.law, SIZES) == pytest.approx([record.time.best for record in records], rel=0.06)
    assert (row.law.first, row.law.last, row.law.sizes, row.law.exponent) == (64.0, 4096.0, 13, row.exponent)
    assert row.law.step is None or row.law.step.octaves == 1.0
    assert overall(judge(records, [scenario(A2)])).law is None  # a verdict over all has the parts' figures, no law


def test_along_heads_time_never_contradicts():
    sizes = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]
    records = sweep(lambda h: 1e-4 * h**2, axis="heads", base={"n": 512, "d": 64, "batch": 1}, sizes=sizes)
    rows = judge(records, [scenario(A2)], [degrees()]).verdicts
    time = next(row for row in rows if row.quantity == "time")
    assert time.verdict == "inconclusive"
    assert time.reason.counts_decide


def test_dispatching_a_row_at_a_time_is_a_lower_term_and_its_crossover_is_shown():
    loop = degrees({**QUADRATIC, "n": counts(lambda n: 256 * n * n, calls=lambda n: 7 * n)}, implementation="loop")
    records = sweep(lambda n: 15e-6 * n + 15e-9 * n * n, implementation="loop")
    rows = judge(records, [scenario(A2)], [loop]).verdicts
    time = next(row for row in rows if row.quantity == "time")
    assert time.evidence["rule"] == "layer"
    assert time.verdict != "contradicted"
    assert 700 <= time.reason.overtaken_at == time.evidence["half"] <= 1400
    assert overall(judge(records, [scenario(A2)], [loop])).verdict == "confirmed"
    assert overall(judge(records, [scenario(A2)])).verdict == "contradicted"  # what the rule is for


def test_masked_points_and_other_sweeps_do_not_mix_into_a_series():
    decoy = sweep(lambda _: 1.0, base={"d": 64, "heads": 2, "batch": 1, "causal": True})
    decoy += sweep(lambda _: 1.0, base={"d": 32, "heads": 2, "batch": 1}, sizes=SIZES[:6])
    verdict = overall(judge(decoy + sweep(square), [scenario(A2)], [degrees()]))
    assert verdict.evidence["by"]["time along n"] == "consistent"


def test_failed_cases_are_left_out():
    failed = record(1.0, point={"n": 8192, "d": 64, "heads": 2, "batch": 1})
    failed = failed.model_copy(update={"status": "oom", "time": None, "reason": "out of memory"})
    rows = judge([*sweep(square), failed], [scenario(A2)], [degrees()]).verdicts
    assert next(row for row in rows if row.quantity == "time").evidence["sizes"] == SIZES


def test_materialised_scores_are_quadratic_and_counted_in_buffers():
    memory = sweep(square, memory=lambda n: 2 * 2 * 4 * n * n + 1024 * n)
    verdict = overall(judge(memory, [scenario(B1)]))
    assert verdict.verdict == "confirmed"
    row = next(v for v in judge(memory, [scenario(B1)]).verdicts if v.quantity == "memory")
    assert row.evidence["score_buffers"] == pytest.approx(2.0)
    assert row.reason.score_buffers == pytest.approx(2.0)
    assert (row.reason.largest, row.reason.extra_bytes) == (4096, 2 * 2 * 4 * 4096**2 + 1024 * 4096)


def test_blocked_softmax_is_linear_and_a_hidden_square_refutes_it():
    linear = sweep(square, memory=lambda n: 512 * n + 4096, implementation="online")
    assert overall(judge(linear, [scenario(B2)])).verdict == "confirmed"
    hidden = sweep(square, memory=lambda n: 512 * n + n * n, implementation="online")
    assert overall(judge(hidden, [scenario(B2)])).verdict == "refuted"


def test_constant_memory_keeps_a_linear_bound_but_not_a_quadratic_law():
    constant = sweep(square, memory=lambda _: 4096, implementation="online")
    assert overall(judge(constant, [scenario(B2)])).verdict == "confirmed"
    assert overall(judge(sweep(square, memory=lambda _: 4096), [scenario(B1)])).verdict == "refuted"


def test_a_refuted_claim_fails_only_where_arithmetic_does_not_refute_it():
    linear = degrees({**QUADRATIC, "n": counts(lambda n: 100 * n)})
    assert [v.claim for v in unexpected(judge(sweep(square), [scenario(A2, A5)], [linear]))] == ["A2"]
    assert unexpected(judge(sweep(square), [scenario(A2, A5)], [degrees()])) == []


def test_the_short_table_has_a_row_a_claim_and_implementation():
    rows = summary_rows(judge(sweep(square), [scenario(A2, A5)], [degrees()]))
    assert [row[:3] for row in rows] == [
        ("A2", "batched (float32)", "confirmed"),
        ("A5", "batched (float32)", "refuted"),
    ]
    assert rows[0][3].startswith("n: ")
    assert rows[1][3] == "n: 2.00"


def test_memory_that_was_not_measured_is_inconclusive():
    verdict = overall(judge(sweep(square), [scenario(B1)]))
    assert verdict.verdict == "inconclusive"
    assert verdict.to_decide == MeasureMemory(axis="n", at_least=4)


def test_a_claim_is_judged_only_for_what_it_is_about():
    assert judge(sweep(square, implementation="online", memory=lambda n: n), [scenario(B1)]).verdicts == []


def test_projections_are_linear_in_n_and_quadratic_in_width():
    name = "phase/projections"
    axes = {"n": counts(lambda n: 600 * n), "width": counts(lambda w: 60 * w * w)}
    found = degrees(axes, implementation=name, problem="multihead")
    records = sweep(lambda n: 1e-6 * n, base={"width": 512, "heads": 8}, implementation=name, problem="multihead")
    rows = judge(records, [scenario(A1_LENGTH, A1_WIDTH, problem="multihead")], [found]).verdicts
    assert [row.verdict for row in rows if row.quantity == "all"] == ["confirmed", "refuted"]
    assert (rows[-1].arithmetic, rows[-1].form, rows[-1].source) == ("refuted", "power", "article")


def test_the_weighted_sum_is_not_linear():
    name = "phase/weighted-sum"
    found = degrees({"n": counts(lambda n: 64 * n * n)}, implementation=name, problem="multihead")
    records = sweep(square, base={"width": 512, "heads": 8}, implementation=name, problem="multihead")
    verdict = overall(judge(records, [scenario(A3, problem="multihead")], [found]))
    assert verdict.verdict == "refuted"
    assert verdict.reason.degree == 2


def test_a_module_is_quadratic_in_the_end_with_its_crossover():
    width = 512
    phases = lambda n: {  # noqa: E731
        "projections": 6 * n * width**2,
        "output": 2 * n * width**2,
        "scores": 2 * n * n * width,
        "weighted sum": 2 * n * n * width,
    }
    records = sweep(
        lambda n: 1e-11 * sum(phases(n).values()),
        base={"width": width, "heads": 8},
        implementation="d2l",
        problem="multihead",
        phases=phases,
    )
    found = degrees({"n": counts(lambda n: n * n + 60 * n)}, implementation="d2l", problem="multihead")
    verdict = overall(judge(records, [scenario(A4, problem="multihead")], [found]))
    assert verdict.verdict == "confirmed"
    assert verdict.evidence["crossover"] == pytest.approx(2 * width)
    assert verdict.reason.crossover_n == pytest.approx(1024.0)
    linear, quadratic = verdict.evidence["additive"]["terms"]
    assert linear["seconds"] == pytest.approx(8e-11, rel=0.1)
    assert quadratic["low"] <= 4e-11 <= quadratic["high"]


def test_growth_is_not_exponential():
    verdict = overall(judge(sweep(square), [scenario(A5)], [degrees()]))
    assert verdict.verdict == "refuted"
    assert verdict.reason == FiniteDegree(axis="n", degree=2)
    assert overall(judge(sweep(square), [scenario(A5)])).verdict == "contradicted"


def test_exponential_times_are_not_taken_for_a_power():
    records = sweep(lambda n: 1e-6 * 2.0 ** (n / 256), noise=0.01)
    assert overall(judge(records, [scenario(A5)])).verdict == "inconclusive"


def test_a_faster_kernel_of_less_memory_is_said_to_be_so():
    records = sweep(square, memory=lambda n: 16 * n * n)
    records += sweep(lambda n: square(n) / 2, memory=lambda n: 64 * n, implementation="sdpa-flash")
    verdict = overall(judge(records, [scenario(A6)]))
    assert verdict.verdict == "confirmed"
    row = next(v for v in judge(records, [scenario(A6)]).verdicts if v.quantity == "time")
    assert row.verdict == "consistent"
    assert (row.reason.baseline, row.reason.n) == ("batched", 4096)
    assert 1 / row.reason.ratio == pytest.approx(2.0, rel=0.1)


def test_what_slows_a_round_slows_both_of_a_pair():
    """Rounds differ threefold, and still the ratio is known within a few per cent."""
    records = []
    for name, factor in (("batched", 1.0), ("sdpa-flash", 0.5)):
        found = record(1.0, point={"n": 512}, implementation=name, extra=100)
        samples = [factor * slow * wiggle for slow in (1.0, 3.0, 2.0, 1.5, 1.1) for wiggle in (1.0, 1.2)]
        time = Time(samples=samples, rounds=5, round_lengths=[2] * 5, median=factor, low=0.1, high=9.0, best=factor)
        records.append(found.model_copy(update={"time": time}))
    row = next(v for v in judge(records, [scenario(A6)]).verdicts if v.quantity == "time")
    assert (row.exponent, row.verdict) == (pytest.approx(0.5), "consistent")
    assert 0.45 <= row.low <= row.high <= 0.55


def test_a_slower_kernel_refutes_faster():
    records = sweep(square, memory=lambda n: 16 * n * n)
    records += sweep(lambda n: square(n) * 2, memory=lambda n: 64 * n, implementation="sdpa-flash")
    assert overall(judge(records, [scenario(A6)])).verdict == "inconclusive"
    row = next(v for v in judge(records, [scenario(A6)]).verdicts if v.quantity == "time")
    assert row.verdict == "contradicted"


def test_without_the_baseline_there_is_nothing_to_be_faster_than():
    assert judge(sweep(square, implementation="sdpa-flash"), [scenario(A6)]).verdicts == []


def test_more_heads_at_a_fixed_width_change_softmax_only():
    records = sweep(square)
    rows = judge(records, [scenario(B3_PRODUCTS, B3_SOFTMAX)], [degrees()]).verdicts
    assert [row.verdict for row in rows if row.quantity == "all"] == ["confirmed", "confirmed"]


def test_decoding_is_linear_in_the_cache():
    base = {"n_q": 1, "d": 64, "heads": 8, "batch": 1}
    sizes = [256 * 2**i for i in range(9)]
    records = sweep(lambda n: 3e-6 + 1e-8 * n, base=base, axis="n_k", sizes=sizes)
    verdict = overall(judge(records, [scenario(B4)], [degrees()]))
    assert verdict.verdict == "confirmed"
    assert verdict.evidence["by"]["time along n_k"] == "consistent"


@pytest.mark.parametrize(
    ("share", "ratio", "expected"), [(0.504, 0.52, "confirmed"), (1.0, 1.05, "refuted"), (0.504, 0.7, "inconclusive")]
)
def test_causal_masking_is_judged_by_products_and_time(share, ratio, expected):
    base = {"d": 64, "heads": 2, "batch": 1}
    records = sweep(square, base={**base, "causal": False}, noise=0.0)
    records += sweep(lambda n: ratio * square(n), base={**base, "causal": True}, noise=0.0)
    verdict = overall(judge(records, [scenario(B5)], [degrees(causal_share=share)]))
    assert verdict.verdict == expected


def test_the_joint_fit_stands_beside_the_axes():
    base = {"n": 512, "d": 64, "heads": 2, "batch": 1}
    records = []
    for axis in ("n", "d", "heads", "batch"):
        for size in (16, 32, 64, 128, 256):
            point = {**base, axis: size}
            work = point["n"] ** 2 * point["d"] * point["heads"] * point["batch"]
            records.append(record(1e-5 + 1e-11 * work, point=point))
    joint = overall(judge(records, [scenario(A2)], [degrees()])).evidence["joint"]["exponents"]
    assert joint["n"][0] == pytest.approx(2.0, abs=0.05)
    assert joint["heads"][1] <= 1.0 <= joint["heads"][2]


def test_a_model_that_disagrees_with_the_counts_is_named():
    found = degrees(counted_products=100, modelled_products=90)
    rows = judge(sweep(square), [scenario(A2)], [found]).verdicts
    assert (rows[0].reason.counted_products, rows[0].reason.modelled_products) == (100, 90)


def test_the_same_claim_of_several_scenarios_is_judged_once():
    again = scenario(A2).model_copy(update={"name": "again"})
    overall(judge(sweep(square), [scenario(A2), again], [degrees()]))


def test_changes_of_kernels_within_a_sweep_are_listed():
    from harness.records import Ran

    records = [
        r.model_copy(update={"ran": Ran(operators={"bmm" if r.case.point["n"] < 1000 else "flash": 1})})
        for r in sweep(square)
    ]
    rows = judge(records, [scenario(A2)], [degrees()]).verdicts
    assert next(row for row in rows if row.quantity == "time").evidence["changes"] == [1024]


def test_all_claims_of_the_lesson_are_there_and_verdicts_survive_json():
    assert {claim.id for claim in CLAIMS} == {"A1", "A2", "A3", "A4", "A5", "A6", "B1", "B2", "B3", "B4", "B5"}
    records = sweep(square, memory=lambda n: 16 * n * n) + sweep(square, implementation="sdpa-flash")
    verdicts = judge(records, [scenario(*CLAIMS)], [degrees()])
    document = json.loads(json.dumps(verdicts.model_dump(mode="json", by_alias=True), allow_nan=False))
    assert Verdicts.model_validate(document) == verdicts
