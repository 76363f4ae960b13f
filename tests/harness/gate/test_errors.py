"""Errors stand against budgets from the reference's own, with room for chance where few rows carry it."""

from __future__ import annotations

import math

import pytest
import torch

from harness.gate import errors
from harness.gate.errors import Comparison, chance, compare, effective_rows
from harness.policy import GatePolicy
from impls.contract import Witness


def test_chance_leaves_room_where_one_row_has_all_the_error_and_little_where_many_share_it():
    oracle = torch.arange(1600.0).reshape(400, 4)
    lone = oracle.clone()
    lone[7] += 1.0
    alike = torch.ones(400, 4)
    even = torch.ones_like(oracle)
    assert effective_rows(Witness(oracle, oracle + 1, even)) == pytest.approx(400)
    assert effective_rows(Witness(oracle, lone, even)) == pytest.approx(1)
    assert effective_rows(Witness(alike, alike + 1, alike)) == pytest.approx(1)
    assert chance(400, GatePolicy()) == pytest.approx(math.exp(0.2))
    assert chance(1, GatePolicy()) > 50


def compared(value, oracle, *, reference=None, bound=1.0, factor=2.0, flush=0.0, is_random=False):
    """Compare a value with an oracle; return the checks by the last word of their names, and the worst element."""
    oracle = torch.as_tensor(oracle, dtype=torch.float64)
    reference = oracle if reference is None else torch.as_tensor(reference, dtype=torch.float64)
    witness = Witness(oracle, reference, torch.full_like(oracle, bound), flush=flush, is_random=is_random)
    checks, find = compare(Comparison("out", torch.as_tensor(value), witness, factor), GatePolicy())
    assert all(check.name.startswith("out ") for check in checks)
    return {check.name.split()[-1]: check for check in checks}, find()


def test_budgets_are_the_references_errors_by_the_factor_and_the_rounding_of_the_answer():
    oracle, reference = [[3.0, 4.0]], [[3.0, 4.5]]
    checks, _ = compared([[3.0, 4.0]], oracle, reference=reference, factor=2.0, flush=1e-3)
    unit = 2.0**-24
    assert checks["max"].budget == pytest.approx(2.0 * 0.5 + 2.0 * unit * 4.0 + 1e-3, rel=1e-12)
    rms = math.sqrt(12.5)
    assert checks["rms"].budget == pytest.approx(2.0 * math.sqrt(0.125) + 0.5 * unit * rms + 1e-3, rel=1e-12)
    assert [check.error for check in checks.values()] == [0.0] * 3
    assert all(check.passed and check.ratio == 0.0 and check.detail == "" for check in checks.values())


def test_the_unit_is_that_of_the_values_dtype():
    values = torch.ones(2, 2, dtype=torch.bfloat16)
    assert compared(values, torch.ones(2, 2))[0]["max"].budget == pytest.approx(2.0 * 2.0**-8)
    assert compared(values.half(), torch.ones(2, 2))[0]["max"].budget == pytest.approx(2.0 * 2.0**-11)


def test_float64_has_no_reference_unless_both_answer_at_random():
    values = torch.ones(2, 2, dtype=torch.float64)
    assert set(compared(values, torch.ones(2, 2))[0]) == {"bound"}
    assert set(compared(values, torch.ones(2, 2), is_random=True)[0]) == {"bound", "max", "rms"}


def test_a_failed_check_names_the_element_and_a_passed_one_none():
    value = torch.zeros(2, 3)
    value[1, 2] = 0.5
    checks, worst = compared(value, torch.zeros(2, 3), bound=0.25)
    assert (worst.index, worst.got, worst.wanted) == ((1, 2), 0.5, 0.0)
    assert str(worst) == "out[1, 2] is 0.5, not 0"
    assert checks["bound"].detail == str(worst)
    assert (checks["bound"].error, checks["bound"].ratio, checks["bound"].passed) == (2.0, 2.0, False)


def test_an_error_on_its_budget_passes_and_any_error_over_a_budget_of_none_fails():
    assert compared([[1.25]], [[1.0]], bound=0.25, reference=[[2.0]])[0]["bound"].passed
    checks, _ = compared([[1e-3]], [[0.0]], bound=1.0)
    assert (checks["max"].budget, checks["max"].ratio, checks["max"].passed) == (0.0, None, False)
    exact, _ = compared([[0.0]], [[0.0]], bound=0.0)
    assert all(check.passed for check in exact.values()), "no error has no need of a budget"


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_an_error_that_is_not_finite_passes_no_check_and_is_the_worst(wrong):
    value = torch.zeros(2, 2)
    value[0, 1] = wrong
    checks, worst = compared(value, torch.zeros(2, 2), reference=torch.full((2, 2), 9.0), bound=1e6)
    assert worst.index == (0, 1)
    assert not any(check.passed for check in checks.values())
    assert [check.error for check in checks.values()] == [None] * 3
    assert errors.largest_ratio(list(checks.values())) == math.inf


def test_the_worst_is_where_the_check_that_is_nearest_to_failing_looks():
    value, oracle = torch.tensor([[1.001, 100.4]]), torch.tensor([[1.0, 100.0]], dtype=torch.float64)
    bound = torch.tensor([[1e-3, 10.0]], dtype=torch.float64)
    by_bound = Witness(oracle, oracle + 100.0, bound)
    _, find = compare(Comparison("out", value, by_bound, 2.0), GatePolicy())
    assert find().index == (0, 0)
    by_size = Witness(oracle, oracle + 1e-3, bound)
    _, find = compare(Comparison("out", value, by_size, 2.0), GatePolicy())
    assert find().index == (0, 1)


def test_rows_without_an_error_count_as_one():
    oracle = torch.zeros(5, 3)
    assert effective_rows(Witness(oracle, oracle, oracle)) == 1.0
    line = torch.arange(8.0)
    even = torch.ones_like(line)
    assert effective_rows(Witness(line, line + 1.0, even)) == pytest.approx(8.0), "a vector's rows are its elements"


def test_a_row_that_may_err_most_counts_alone_where_the_reference_was_lucky():
    oracle = torch.arange(40.0).reshape(20, 2)
    bound = torch.ones_like(oracle)
    bound[3] = 1e3
    assert effective_rows(Witness(oracle, oracle + 1e-3, bound)) == pytest.approx(1.0, rel=1e-3)
    unbounded = torch.full_like(oracle, math.inf)
    assert effective_rows(Witness(oracle, oracle + 1e-3, unbounded)) == 1.0


def test_the_first_flag_is_found_by_its_index():
    flags = torch.zeros(2, 3, 4, dtype=torch.bool)
    flags[1, 0, 2] = flags[1, 2, 3] = True
    assert errors.first_index(flags) == (1, 0, 2)
    with pytest.raises(IndexError):
        errors.first_index(torch.zeros(2, dtype=torch.bool))
