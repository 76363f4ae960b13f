"""In runs too a time that does not grow is said to be flat, and a linear one what of it stays."""

from __future__ import annotations

import pytest

from harness.records import Time
from harness.results.reasons import MeasureMemory
from harness.verdicts.judging import judge_claims
from reports.answer.reasons import explanation
from scenarios.claims import A2, B1, B2, B3_PRODUCTS, B3_SOFTMAX
from scenarios.scenario import Axis, Claim, Scenario
from tests.support import runs
from tests.support.sweeps import QUADRATIC, counts, degrees, overall, record, scenario, square, sweep

SIZES = [16, 32, 64, 128, 192, 256, 512, 768, 1024]


def part_of(seconds, *, exponent):
    claim = Claim(id="X", says="?", quantities=["time"], exponents={"d": exponent})
    scenario = Scenario(name="x", question="?", axes=[Axis(name="d", values=SIZES)], claims=[claim])
    records = []
    for d in SIZES:
        value = seconds(d)
        time = Time(samples=[value] * 6, rounds=6, median=9.0, best=9.0, statistic="lower quartile", value=value)
        record = runs.ok_record("batched", n=256, d=d, heads=4, batch=1)
        records.append(record.model_copy(update={"time": time}))
    found = judge_claims(records, [scenario]).verdicts
    return next(verdict for verdict in found if verdict.quantity == "time")


def test_a_flat_time_keeps_the_claim_of_exponent_zero():
    part = part_of(lambda d: 1e-3 * (1 + 0.001 * (d % 3)), exponent=0)
    assert part.verdict == "consistent"
    assert part.reason.is_flat
    assert "does not grow: over a range of 64 at most" in explanation(part)


def test_a_growing_time_refutes_it():
    part = part_of(lambda d: 1e-4 + 1e-6 * d, exponent=0)
    assert part.verdict == "contradicted"
    assert "of the time depends on d" in explanation(part)


def test_a_flat_time_is_said_where_growth_is_claimed():
    part = part_of(lambda d: 1e-3 * (1 + 0.001 * (d % 3)), exponent=1)
    assert part.verdict == "inconclusive"
    assert "does not grow" in explanation(part)


def test_a_linear_time_says_what_does_not_depend_on_the_size():
    part = part_of(lambda d: 70e-6 + 2e-6 * d, exponent=1)
    assert part.reason.parts.share == pytest.approx(70 / (70 + 384))
    assert "15 % (" in explanation(part)
    assert "of the time at d = 192 does not depend on d, and each further one costs 2" in explanation(part)


def test_laws_rest_on_the_statistic_where_there_is_one():
    part = part_of(lambda d: 70e-6 + 2e-6 * d, exponent=1)
    assert part.law.slope < 1e-3


def test_along_heads_time_never_contradicts():
    sizes = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]
    records = sweep(lambda h: 1e-4 * h**2, axis="heads", base={"n": 512, "d": 64, "batch": 1}, sizes=sizes)
    rows = judge_claims(records, [scenario(A2)], [degrees()]).verdicts
    time = next(row for row in rows if row.quantity == "time")
    assert time.verdict == "inconclusive"
    assert time.reason.counts_decide


def test_dispatching_a_row_at_a_time_is_a_lower_term_and_its_crossover_is_shown():
    loop = degrees({**QUADRATIC, "n": counts(lambda n: 256 * n * n, calls=lambda n: 7 * n)}, implementation="loop")
    records = sweep(lambda n: 15e-6 * n + 15e-9 * n * n, implementation="loop")
    rows = judge_claims(records, [scenario(A2)], [loop]).verdicts
    time = next(row for row in rows if row.quantity == "time")
    assert time.evidence["rule"] == "layer"
    assert time.verdict != "contradicted"
    assert 700 <= time.reason.overtaken_at == time.evidence["half"] <= 1400
    assert overall(judge_claims(records, [scenario(A2)], [loop])).verdict == "confirmed"
    assert overall(judge_claims(records, [scenario(A2)])).verdict == "contradicted"  # what the rule is for


def test_materialised_scores_are_quadratic_and_counted_in_buffers():
    memory = sweep(square, memory=lambda n: 2 * 2 * 4 * n * n + 1024 * n)
    verdict = overall(judge_claims(memory, [scenario(B1)]))
    assert verdict.verdict == "confirmed"
    row = next(v for v in judge_claims(memory, [scenario(B1)]).verdicts if v.quantity == "memory")
    assert row.evidence["score_buffers"] == pytest.approx(2.0)
    assert row.reason.score_buffers == pytest.approx(2.0)
    assert (row.reason.largest, row.reason.extra_bytes) == (4096, 2 * 2 * 4 * 4096**2 + 1024 * 4096)


def test_blocked_softmax_is_linear_and_a_hidden_square_refutes_it():
    linear = sweep(square, memory=lambda n: 512 * n + 4096, implementation="online")
    assert overall(judge_claims(linear, [scenario(B2)])).verdict == "confirmed"
    hidden = sweep(square, memory=lambda n: 512 * n + n * n, implementation="online")
    assert overall(judge_claims(hidden, [scenario(B2)])).verdict == "refuted"


@pytest.mark.parametrize("sizes", [[256, 512, 1024, 2048, 4096, 8192], [256, 512, 1024, 2048, 4096]])
@pytest.mark.parametrize("rectangle", [False, True])
def test_a_mask_of_every_pair_refutes_that_a_fused_call_needs_no_square(sizes, rectangle):
    def extra(n):
        rows = n // 2 if rectangle else n
        return rows * n * (1 + 4) + 8 * rows + 512  # booleans, numbers, a statistic a row

    points = [{"n": n, **({"n_q": n // 2, "causal": True} if rectangle else {"valid_lens": "rows"})} for n in sizes]
    made = [record(1e-8 * p["n"] ** 2, point=p, implementation="sdpa-flash", extra=extra(p["n"])) for p in points]
    found = overall(judge_claims(made, [scenario(B2)]))
    assert (found.verdict, found.exponent, found.reason.degree) == ("refuted", 2, 2)
    few = overall(judge_claims(made[:3], [scenario(B2)]))
    assert (few.verdict, few.to_decide) == ("inconclusive", MeasureMemory(axis="n", at_least=4))


def test_constant_memory_keeps_a_linear_bound_but_not_a_quadratic_law():
    constant = sweep(square, memory=lambda _: 4096, implementation="online")
    assert overall(judge_claims(constant, [scenario(B2)])).verdict == "confirmed"
    assert overall(judge_claims(sweep(square, memory=lambda _: 4096), [scenario(B1)])).verdict == "refuted"


def test_memory_that_was_not_measured_is_inconclusive():
    verdict = overall(judge_claims(sweep(square), [scenario(B1)]))
    assert verdict.verdict == "inconclusive"
    assert verdict.to_decide == MeasureMemory(axis="n", at_least=4)


def test_a_model_that_disagrees_with_the_counts_is_named():
    found = degrees(counted_products=100, modelled_products=90)
    rows = judge_claims(sweep(square), [scenario(A2)], [found]).verdicts
    assert (rows[0].reason.counted_products, rows[0].reason.modelled_products) == (100, 90)


def test_counts_that_are_no_polynomial_leave_it_open():
    wild = degrees({**QUADRATIC, "n": counts(lambda n: 2**n)})
    rows = judge_claims(sweep(square), [scenario(A2)], [wild]).verdicts
    row = next(row for row in rows if (row.quantity, row.axis) == ("operations", "n"))
    assert (row.verdict, row.reason.kind) == ("inconclusive", "no polynomial")
    assert (row.reason.sizes, row.reason.smallest, row.reason.largest) == (6, 1, 6)


def test_a_claim_of_products_is_about_products():
    products = {"heads at fixed width": counts(lambda h: 4096 + 12 * h, products=lambda _: 4096)}
    for claim, degree in ((B3_PRODUCTS, 0), (B3_SOFTMAX, 1)):
        rows = judge_claims(sweep(square), [scenario(claim)], [degrees(products)]).verdicts
        row = next(row for row in rows if row.quantity == "operations")
        assert (row.verdict, row.exponent, row.reason.products) == ("confirmed", degree, degree == 0)


def test_what_was_neither_counted_nor_measured_has_no_verdict():
    assert judge_claims(sweep(square, sizes=[64, 128]), [scenario(A2)]).verdicts == []
    counted = judge_claims(sweep(square, sizes=[64, 128]), [scenario(A2)], [degrees()]).verdicts
    assert {row.quantity for row in counted} == {"operations", "all"}


def test_a_share_that_stays_is_said_of_a_line_alone():
    quadratic = next(row for row in judge_claims(sweep(square), [scenario(A2)]).verdicts if row.quantity == "time")
    assert quadratic.reason.parts is None
    kinked = part_of(lambda d: 1e-3 if d < 300 else 1e-3 * d, exponent=1)
    assert kinked.reason.parts is None


def test_times_with_a_doubt_are_counted_and_wide_ones_are_none():
    doubts = [["drift"], ["wide"], ["wide", "bimodal"]]
    records = sweep(square)
    flagged = [
        record.model_copy(update={"time": record.time.model_copy(update={"flags": flags})})
        for record, flags in zip(records, [*doubts, *[[]] * (len(records) - 3)], strict=True)
    ]
    row = next(row for row in judge_claims(flagged, [scenario(A2)]).verdicts if row.quantity == "time")
    assert row.evidence["flagged"] == 2


TIED = Axis(name="n", values=[512, 1024, 2048, 4096, 8192, 16384], tied={"batch": "16384 / n"})
# What was published of such a sweep, in milliseconds: a straight line, since the batch falls as n grows.
PUBLISHED = {512: 0.24512, 1024: 0.442944, 2048: 0.845728, 4096: 1.65574, 8192: 3.27904, 16384: 6.55098}


def tied_sweep():
    return [
        record(1e-3 * cost, point={"d": 64, "heads": 2, "n": n, "batch": 16384 // n}, extra=8 * 16384 * n)
        for n, cost in PUBLISHED.items()
    ]


def test_an_axis_that_another_follows_is_left_open_by_time_and_memory_and_said_so():
    swept = Scenario(name="x", question="?", axes=[TIED], claims=[A2, B1])
    found = judge_claims(tied_sweep(), [swept], [degrees()])
    time = next(v for v in found.verdicts if v.quantity == "time")
    assert (time.axis, time.verdict) == ("n", "inconclusive")
    assert explanation(time) == (
        "batch = 16384 / n at all 6 sizes: n and batch can't be separated; "
        "to decide, sweep n with the same batch throughout"
    )
    assert next(v for v in found.verdicts if v.quantity == "memory").reason == time.reason
    whole = overall(found, "A2")
    assert whole.verdict == "confirmed"
    assert "time is inconclusive along n: batch = 16384 / n" in explanation(whole)
    assert overall(judge_claims(tied_sweep(), [swept]), "A2").verdict == "inconclusive"


def test_a_sweep_of_the_axis_alone_is_judged_though_another_was_tied():
    swept = Scenario(name="x", question="?", axes=[TIED], claims=[A2])
    found = judge_claims([*tied_sweep()[:-1], *sweep(square)], [swept], [degrees()]).verdicts
    assert [v.verdict for v in found if v.quantity == "time"] == ["consistent"]


def test_a_tie_that_was_not_swept_leaves_nothing_open():
    swept = Scenario(name="x", question="?", axes=[TIED], claims=[A2])
    found = judge_claims(tied_sweep()[:2], [swept], [degrees()]).verdicts
    assert [v.quantity for v in found] == [*["operations"] * 4, "all"]
