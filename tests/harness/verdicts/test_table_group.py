"""A group's verdict rests on exact costs where they are, on flatness where nothing grows, else on the interval."""

from __future__ import annotations

import json

import pytest

from harness.policy import ScalingPolicy
from harness.tables.cells import read_cell
from harness.verdicts.groups import Costs
from harness.verdicts.riding import Ride
from harness.verdicts.table_group import Claim, judge_group

SIZES = [64, 128, 256, 512, 1024, 2048, 4096, 8192]
POLICY = ScalingPolicy()


def claim(exponent, *, kind="component", is_exact=False):
    return Claim(exponent=exponent, kind=kind, x="n", is_exact=is_exact, policy=POLICY)


def measured(law, *, sizes=SIZES, left_out=0, rides=()):
    """Return a group of floats, which no table has as written numbers."""
    found = Costs(key={"impl": "mine"}, left_out=left_out, rides=list(rides))
    for n in sizes:
        found.add(float(n), [law(n)], None)
    return found


def written(cells):
    found = Costs(key={})
    for n, text in cells.items():
        number = read_cell(text)
        found.add(float(n), [number.value()], number)
    return found


def test_noisy_costs_are_judged_by_their_interval():
    found = judge_group(measured(lambda n: 1e-5 + 1e-9 * n**2 * (1.001 if n % 3 else 1.0)), claim(2.0))
    assert (found.verdict, found.key, found.samples) == ("consistent", {"impl": "mine"}, 8)
    assert found.judgement.low <= 2.0 <= found.judgement.high
    assert found.exact is None
    assert judge_group(measured(lambda n: 1e-6 * n), claim(2.0)).verdict == "contradicted"


def test_three_samples_give_their_second_smallest_and_two_their_median():
    costs = Costs(key={})
    for n in SIZES:
        costs.add(float(n), [9.0 * n, 1.0 * n, 2.0 * n] if n < 1024 else [1.0 * n, 3.0 * n], None)
    found = judge_group(costs, claim(1.0))
    assert found.costs == [2.0 * n for n in SIZES]
    assert found.samples == 4 * 3 + 4 * 2


def test_a_cost_that_does_not_grow_is_said_so_whatever_is_claimed():
    flat = measured(lambda n: 14.2 + 0.05 * (n % 5))
    found = judge_group(flat, claim(1.0))
    assert (found.verdict, found.reason.startswith("it does not grow")) == ("inconclusive", True)
    assert found.to_decide == "claim --exponent 0, or measure sizes beyond 8192 at which the cost grows"
    assert judge_group(flat, claim(0.0)).verdict == "consistent"
    grown = judge_group(measured(lambda n: 1e-6 * n), claim(0.0))
    assert (grown.verdict, grown.judgement) == ("contradicted", None)


def test_a_flat_cost_needs_sizes_and_range():
    few = judge_group(measured(lambda _: 1.5, sizes=SIZES[:3]), claim(0.0))
    assert few.reason == "3 sizes are too few to call a cost flat (at least 5 are needed)"
    short = judge_group(measured(lambda _: 1.5, sizes=[64, 72, 80, 88, 96, 104]), claim(0.0))
    assert (short.verdict, short.to_decide) == (
        "inconclusive", "measure 11 sizes over a range of 64 to a precision of 1 %",
    )  # fmt: skip


EXACT = {n: str(3 * n * n + 5) for n in (256, 512, 1024, 2048, 4096)}


def test_exact_costs_are_judged_by_their_degree():
    found = judge_group(written(EXACT), claim(2.0))
    assert found.verdict == "consistent"
    assert found.reason == (
        "all 5 sizes lie on 3 n^2 + 5 to the last digit; its highest term is 100 % of the cost at the largest size"
    )
    assert judge_group(written(EXACT), claim(1.0)).reason.endswith("which is of degree 2, not 1")
    assert judge_group(written(EXACT), claim(1.0)).verdict == "contradicted"


def test_a_highest_term_that_is_negative_or_small_does_not_hold():
    falling = {n: str(10**9 - n * n) for n in (256, 512, 1024, 2048, 4096)}
    found = judge_group(written(falling), claim(2.0))
    assert (found.verdict, "whose term of degree 2 is negative" in found.reason) == ("contradicted", True)
    hidden = {n: str(10**9 + n * n) for n in (256, 512, 1024, 2048, 4096)}
    found = judge_group(written(hidden), claim(2.0))
    assert (found.verdict, found.to_decide) == ("inconclusive", "measure larger sizes")


def test_equal_costs_are_no_polynomial_unless_they_are_said_to_be_exact():
    equal = dict.fromkeys(EXACT, "123456")
    assert judge_group(written(equal), claim(0.0)).exact is None
    asked = judge_group(written(equal), claim(0.0, is_exact=True))
    assert (asked.verdict, asked.exact.degree) == ("consistent", 0)


def test_exact_costs_with_steps_are_judged_by_differences():
    steps = {n: str(4096 * n + 65536 * -(-n // 700)) for n in (256, 512, 1024, 2048, 4096, 8192)}
    line, square = (judge_group(written(steps), claim(power, is_exact=True)) for power in (1.0, 2.0))
    assert (line.verdict, square.verdict) == ("consistent", "contradicted")
    assert line.reason == (
        "no polynomial goes through all sizes; a line describes the larger ones, with steps (degree 1)"
    )


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        (measured(lambda n: n), "samples of one size differ: these costs are not exact"),
        (written({256: "1", 512: "2", 1024: "5", 2048: "9"}), "exact costs need at least 5 sizes, in whole numbers"),
        (written({0.5: "1", 1: "2", 2: "5", 3: "9", 4: "17"}), "exact costs need at least 5 sizes, in whole numbers"),
        (
            written({2**k: str(7**k) for k in range(8, 14)}),
            "no polynomial goes through all sizes, and neither a line nor a square describes the larger ones",
        ),
    ],
)
def test_costs_that_are_said_to_be_exact_and_are_not_are_open(group, reason):
    found = judge_group(group, claim(1.0, is_exact=True))
    assert (found.verdict, found.reason) == ("inconclusive", reason)


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        (Costs(key={}, left_out=7), "no row has both a size and a cost (7 left out)"),
        (measured(lambda n: n, sizes=range(1, 130)), "129 different sizes are more than can be judged at once"),
        (measured(lambda n: n, sizes=[1e31, 1e32, 1e33]), "a size of 1e+33 is beyond what can be fitted"),
        (measured(lambda n: n, sizes=[1e-31, 1.0, 2.0]), "a size of 1e-31 is beyond what can be fitted"),
        (measured(lambda n: 1e31 * n), "a cost of 8.192e+34 is beyond what can be fitted"),
        (measured(lambda n: 1e-40 * n), "a cost of 6.4e-39 is beyond what can be fitted"),
        (measured(lambda n: n, sizes=[1e-29, 1.0, 1e29]), "a range of 1e+58 is beyond what can be fitted"),
    ],
)
def test_what_can_not_be_fitted_is_open_and_says_so(group, reason):
    found = judge_group(group, claim(2.0))
    assert found.verdict == "inconclusive"
    assert reason in found.reason


def test_a_column_that_falls_leaves_a_decided_law_open():
    ride = Ride("batch", "batch = 16384 / n", falls=True)
    found = judge_group(measured(lambda n: 1e-6 * n, rides=[ride]), claim(1.0))
    assert found.verdict == "inconclusive"
    assert found.reason.startswith("batch = 16384 / n: what grows with n and what falls with batch can't be separated")
    assert found.to_decide == "measure at a fixed batch, or judge the cost per batch: --per batch"
    along = judge_group(measured(lambda n: 1e-6 * n, rides=[Ride("heads", "heads = 2 n", falls=False)]), claim(1.0))
    assert along.verdict == "consistent"


@pytest.mark.parametrize(
    ("group", "exponent"),
    [
        (measured(lambda n: 1e-9 * n**2), 2.0),
        (measured(lambda _: 1.5), 1.0),
        (written(EXACT), 2.0),
        (Costs(key={"impl": "mine"}, left_out=3), 2.0),
        (measured(lambda n: n, rides=[Ride("batch", "batch = 8192 / n", falls=True)]), 1.0),
    ],
)
def test_an_entry_is_strict_json_with_the_same_keys_first(group, exponent):
    entry = judge_group(group, claim(exponent)).entry(claimed=exponent)
    document = json.loads(json.dumps(entry, allow_nan=False))
    assert document["claimed"] == exponent
    assert {"verdict", "exponent", "low", "high", "floor", "reason", "to_decide", "sizes", "samples", "rides"} <= set(
        document
    )
