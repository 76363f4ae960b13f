"""Series hold what differs in one size alone, and say where other code ran."""

from __future__ import annotations

import math

from harness.records import Ran
from harness.results.reasons import NotCounted, OnlyDeclared
from harness.verdicts.evidence import (
    Group,
    cases_of,
    changes,
    counts_along,
    finite,
    identity,
    series_along,
    size_of,
    times_of,
    wrong_sizes,
)
from harness.verdicts.judging import judge_claims
from scenarios.claims import A2
from tests.support.sweeps import QUADRATIC, SIZES, degrees, overall, record, scenario, square, sweep


def test_masked_points_and_other_sweeps_do_not_mix_into_a_series():
    decoy = sweep(lambda _: 1.0, base={"d": 64, "heads": 2, "batch": 1, "causal": True})
    decoy += sweep(lambda _: 1.0, base={"d": 32, "heads": 2, "batch": 1}, sizes=SIZES[:6])
    verdict = overall(judge_claims(decoy + sweep(square), [scenario(A2)], [degrees()]))
    assert verdict.evidence["by"]["time along n"] == "consistent"


def test_changes_of_kernels_within_a_sweep_are_listed():
    records = [
        r.model_copy(update={"ran": Ran(operators={"bmm" if r.case.point["n"] < 1000 else "flash": 1})})
        for r in sweep(square)
    ]
    rows = judge_claims(records, [scenario(A2)], [degrees()]).verdicts
    assert next(row for row in rows if row.quantity == "time").evidence["changes"] == [1024]


def test_the_longest_series_is_taken_in_order_of_size():
    short = sweep(square, base={"d": 32, "heads": 2, "batch": 1}, sizes=[64, 128, 256])
    long = sweep(square, sizes=[512, 64, 256, 128])
    found = series_along([*short, *long], axis="n")
    assert [n for n, _ in found] == [64, 128, 256, 512]
    assert {r.case.point["d"] for _, r in found} == {64}


def test_along_n_rectangles_of_one_form_are_a_series_and_those_of_one_height_another():
    halves = [record(1.0, point={"n": n, "n_q": n // 2, "d": 64}) for n in (64, 128, 256, 512)]
    rows = [record(1.0, point={"n": n, "n_q": 64, "d": 64}) for n in (128, 256, 512)]
    assert [(n, r.case.point["n_q"]) for n, r in series_along([*rows, *halves[:2]], axis="n")] == [
        (128, 64), (256, 64), (512, 64),
    ]  # fmt: skip
    assert [n for n, _ in series_along([*rows, *halves], axis="n")] == [64, 128, 256, 512]
    assert series_along(halves, axis="n_q") == [(32, halves[0])]


def test_a_wrong_answer_leaves_the_law_of_its_rectangles_open():
    points = [{"n": n, "n_q": n // 2, "d": 64} for n in (64, 128, 256, 512)]
    right = [record(1.0, point=point) for point in points[:3]]
    wrong = [record(1.0, point=points[3]).model_copy(update={"status": "disagreed"})]
    group = Group("attention", "batched", "float32", "cpu", "forward", right, None, wrong)
    assert wrong_sizes(group, axis="n") == ([512], 3)


def test_of_series_of_one_length_a_plain_one_goes_before_a_masked_one():
    masked = sweep(square, base={"a": 1, "causal": True, "d": 64}, sizes=[64, 128])
    plain = sweep(square, base={"d": 64}, sizes=[64, 128])
    assert all("causal" not in r.case.point for _, r in series_along([*masked, *plain], axis="n"))


def test_a_series_begins_where_it_is_asked_to_and_holds_whole_numbers():
    assert [n for n, _ in series_along(sweep(square), axis="n", start=1000)] == [1024, 1536, 2048, 3072, 4096]
    assert series_along(sweep(square), axis="width") == []
    assert series_along([record(1.0, point={"n": 64, "causal": True})], axis="causal") == []


def test_keys_are_swept_for_one_query_alone():
    decoding = sweep(square, base={"n_q": 1, "d": 64}, axis="n_k", sizes=[64, 128])
    crossing = sweep(square, base={"n_q": 64, "d": 64}, axis="n_k", sizes=[64, 128, 256])
    assert [n for n, _ in series_along([*decoding, *crossing], axis="n_k")] == [64, 128]


def test_times_and_cases_are_of_records_that_have_them():
    series = series_along(sweep(square, sizes=[64, 128, 256], noise=0.0), axis="n")
    lost = [(n, r.model_copy(update={"time": None}) if n == 128 else r) for n, r in series]
    sizes, seconds, intervals = times_of(lost)
    assert (sizes, seconds) == ([64, 256], [square(64), square(256)])
    assert intervals[0] == (0.98 * square(64), 1.02 * square(64))
    assert cases_of(lost) == [series[0][1].case.id, series[2][1].case.id]


def test_page_faults_that_set_in_are_a_change_and_steady_ones_are_none():
    series = []
    for n, faults in ((64, None), (128, 0.5), (256, 40.0), (512, 90.0), (1024, 0.0)):
        plain = record(1.0, point={"n": n})
        series.append((n, plain.model_copy(update={"time": plain.time.model_copy(update={"faults_per_call": faults})})))
    assert changes(series) == [256, 1024]
    assert changes(series[:1]) == changes([]) == []


def test_kernels_say_more_than_operators():
    series = [
        (n, record(1.0, point={"n": n}).model_copy(update={"ran": Ran(operators={f"op{n}": 1}, kernels={kernel: 1})}))
        for n, kernel in ((64, "a"), (128, "a"), (256, "b"))
    ]
    assert changes(series) == [256]


def group_of(counted):
    return Group("attention", "batched", "float32", "cpu", "forward", [], counted)


def test_counts_are_there_or_the_reason_why_not():
    assert counts_along(group_of(degrees()), "n") == QUADRATIC["n"]
    assert counts_along(group_of(degrees()), "width") == NotCounted(axis="width")
    assert counts_along(group_of(None), "n") == NotCounted()
    assert counts_along(group_of(degrees({}, how="declared", reason="it hides")), "n") == OnlyDeclared(cause="it hides")


def test_records_of_one_point_are_identical_whoever_computed_it_and_in_whatever_order():
    one = record(1.0, point={"n": 64, "d": 32}, implementation="batched")
    other = record(2.0, point={"d": 32, "n": 64}, implementation="online")
    assert identity(one) == identity(other)
    cold = one.model_copy(update={"case": one.case.model_copy(update={"cache": "cold"})})
    assert identity(one) != identity(cold)


def test_an_absent_size_is_the_one_that_problems_take():
    assert (size_of({"n": 7}, "n"), size_of({}, "d"), size_of({}, "heads")) == (7, 64, 1)


def test_json_holds_no_infinity():
    assert [finite(value) for value in (1.5, math.inf, -math.inf, math.nan)] == [1.5, None, None, None]
