"""The arithmetic of the gate: forms of one computation agree in float64, lower precision stays within the bounds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from impls.numerics import errors
from impls.numerics.errors import Head, KeySums, ScoreGradients, units

CPU = torch.device("cpu")
# A bound that allows for anything would hold too; worst-case signs overstate by tens.
LOOSE_AT_MOST = 500
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def head(*, rows=6, n_k=9, d=5, d_v=4, scale=0.4, dead=True, capped=False):
    """Draw a head whose last row attends to nothing unless told otherwise; a `capped` one has a bias too."""
    mask = drawn(rows, n_k, seed=4) < 0.5
    mask[:, 0] = True
    mask[-1] = not dead
    rare = {"softcap": 1.5, "bias": drawn(rows, n_k, seed=6)} if capped else {}
    return Head(drawn(rows, d, seed=1), drawn(n_k, d, seed=2), drawn(n_k, d_v, seed=3), mask, scale, **rare)


UPSTREAM = drawn(6, 4, seed=5)


@pytest.mark.parametrize(
    ("dtype", "store", "accumulate"),
    [
        (torch.float64, 2.0**-53, 2.0**-53),
        (torch.float32, 2.0**-24, 2.0**-24),
        (torch.float16, 2.0**-11, 2.0**-24),
        (torch.bfloat16, 2.0**-8, 2.0**-24),
    ],
)
def test_a_dtype_is_stored_in_its_unit_and_summed_in_float32_or_its_own(dtype, store, accumulate):
    unit = units(dtype, CPU)
    assert (unit.store, unit.accumulate) == (store, accumulate)
    assert unit.flush_terms <= unit.flush
    # The smallest normal number of the dtype or less, or one so small that its square is still a float64.
    assert unit.flush <= (2.0**-500 if dtype == torch.float64 else torch.finfo(dtype).tiny)


def test_only_float32_on_cuda_rounds_to_tf32_and_only_where_it_is_allowed(monkeypatch):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    cuda = torch.device("cuda")
    assert units(torch.float32, cuda).store == units(torch.float32, cuda).accumulate == 2.0**-11
    assert units(torch.float32, CPU).store == 2.0**-24
    assert units(torch.bfloat16, cuda) == units(torch.bfloat16, CPU)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert units(torch.float32, cuda).store == 2.0**-24


def test_a_16_bit_product_is_summed_in_float32_and_rounded_once():
    ones = torch.ones(1, 4096, dtype=torch.bfloat16)
    assert errors.product(ones, ones.mT).item() == 4096.0
    a = drawn(3, 700).half()
    assert torch.equal(errors.product(a, a.mT), (a.float() @ a.float().mT).half())
    wide = drawn(3, 7)
    assert torch.equal(errors.product(wide, wide.mT), wide @ wide.mT)


def test_a_head_is_converted_and_cut_by_rows_with_its_mask():
    whole = head()
    part = whole[slice(2, 4)]
    assert torch.equal(part.q, whole.q[2:4])
    assert torch.equal(part.mask, whole.mask[2:4])
    assert part.k is whole.k
    assert whole.to(torch.float16).v.dtype == torch.float16
    assert whole.to(torch.float16).mask is whole.mask


def test_weights_sum_to_one_over_allowed_keys_and_dead_rows_weigh_nothing():
    weights = errors.softmax(head())
    torch.testing.assert_close(weights.sum(-1), torch.tensor([1.0] * 5 + [0.0], dtype=torch.float64))
    assert weights[~head().mask].eq(0).all()
    torch.testing.assert_close(weights, errors.softmax(head(), scale_first=True))


def test_scores_past_the_exponentials_range_are_weighed_by_their_distance_from_the_top():
    keys = torch.tensor([[1.0], [0.999], [-1.0]])
    big = Head(torch.full((1, 1), 1000.0), keys, torch.eye(3), torch.ones(1, 3) > 0, 1.0)
    expected = torch.tensor([1000.0, 999.0, -1000.0]).softmax(0)
    torch.testing.assert_close(errors.softmax(big)[0], expected)
    torch.testing.assert_close(errors.plain(big)[0], expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("scale_first", [False, True])
@pytest.mark.parametrize("capped", [False, True])
def test_the_plain_forms_in_lower_precision_stay_within_the_outputs_bound(dtype, scale_first, capped):
    low = head(rows=6, n_k=200, d=64, scale=0.125, capped=capped).to(dtype)
    exact = low.to(torch.float64)
    out, unit = errors.plain(exact), units(dtype, CPU)
    bound, deviation = errors.output_errors(exact, errors.weights_error(exact, unit), out, unit)
    error = (errors.plain(low, scale_first=scale_first).double() - out).abs()
    assert (error <= bound).all()
    assert bound.max() < LOOSE_AT_MOST * error.max()
    assert (deviation <= bound).all()
    assert deviation[-1].eq(0).all()


def test_a_bound_grows_with_the_unit():
    exact = head().to(torch.float64)
    out = errors.plain(exact)
    known = [units(dtype, CPU) for dtype in (torch.float64, *DTYPES)]
    bounds = [errors.output_errors(exact, errors.weights_error(exact, unit), out, unit)[0][:5].max() for unit in known]
    assert bounds == sorted(bounds)
    assert bounds[0] > 0


def autograd(one, upstream):
    q, k, v = (tensor.clone().requires_grad_(True) for tensor in (one.q, one.k, one.v))
    out = errors.plain(replace(one, q=q, k=k, v=v))
    return torch.autograd.grad(out, (q, k, v), upstream)


@pytest.mark.parametrize(
    "differentiate",
    [
        errors.textbook_gradients,
        lambda one, upstream: errors.textbook_gradients(one, upstream, scale_first=True),
        errors.flash_gradients,
    ],
    ids=["textbook", "queries scaled", "flash"],
)
@pytest.mark.parametrize("capped", [False, True])
def test_each_form_of_the_backward_is_autograds_in_float64(differentiate, capped):
    one = head(capped=capped)
    found = differentiate(one, UPSTREAM)
    dq, dk, dv = autograd(one, UPSTREAM)
    torch.testing.assert_close(found.dq, dq)
    torch.testing.assert_close(found.scores.mT @ one.q, dk)
    torch.testing.assert_close(found.weights.mT @ UPSTREAM, dv)


@pytest.mark.parametrize("dtype", [torch.float64, *DTYPES], ids=str)
@pytest.mark.parametrize("capped", [False, True])
def test_both_ways_to_scale_at_once_are_each_by_itself(dtype, capped):
    low, upstream = head(capped=capped).to(dtype), UPSTREAM.to(dtype)
    outputs, gradients = errors.plain_either_way(low), errors.textbook_either_way(low, upstream)
    for way, scale_first in enumerate((False, True)):
        alone = errors.textbook_gradients(low, upstream, scale_first=scale_first)
        torch.testing.assert_close(outputs[way], errors.plain(low, scale_first=scale_first))
        for name in ("weights", "scores", "dq"):
            torch.testing.assert_close(getattr(gradients, name)[way], getattr(alone, name))


@pytest.mark.parametrize("capped", [False, True])
def test_gradients_by_known_weights_are_the_textbooks(capped):
    one = head(capped=capped)
    found = errors.exact_gradients(one, errors.weights_error(one, units(torch.float64, CPU)), UPSTREAM)
    alone = errors.textbook_gradients(one, UPSTREAM)
    for name in ("weights", "scores", "dq"):
        torch.testing.assert_close(getattr(found, name), getattr(alone, name), rtol=1e-13, atol=0.0)


def test_rows_are_added_one_after_another_and_rounded_each_time(monkeypatch):
    total = torch.zeros(1, 1, dtype=torch.bfloat16)
    errors.add_rows(total, torch.ones(300, 1, dtype=torch.bfloat16), torch.ones(300, 1, dtype=torch.bfloat16))
    # Past 256 a bfloat16 has no place for one more.
    assert total.item() == 256.0
    parts = torch.zeros(2, 1, dtype=torch.bfloat16)
    monkeypatch.setattr(errors, "ADDED_ELEMENTS", 64)
    errors.add_rows(parts, *(torch.ones(300, size, dtype=torch.bfloat16) for size in (2, 1)))
    assert parts.flatten().tolist() == [256.0, 256.0]
    exact = torch.zeros(9, 5, dtype=torch.float64)
    errors.add_rows(exact, drawn(6, 9), drawn(6, 5, seed=1))
    torch.testing.assert_close(exact, drawn(6, 9).mT @ drawn(6, 5, seed=1))


def bounded(one, upstream, unit):
    """Return the exact gradients and their bounds: dq, dk, dv."""
    exact = errors.textbook_gradients(one, upstream)
    sums = KeySums.zeros(one)
    dq_bound, deviation = errors.query_gradient_errors(
        one, errors.weights_error(one, unit), upstream, exact, sums, unit
    )
    assert sums.rows == one.q.shape[0]
    dk, dv = exact.scores.mT @ one.q, exact.weights.mT @ upstream
    flushed = errors.flushed_gradient(one.q.shape[0], float(one.q.abs().amax()) * one.scale, unit)
    return (exact.dq, dk, dv), [dq_bound, *errors.key_gradient_bounds(sums, dk, dv, unit, flushed=flushed)], deviation


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("form", [errors.textbook_gradients, errors.flash_gradients])
@pytest.mark.parametrize("capped", [False, True])
def test_the_backward_in_lower_precision_stays_within_the_gradients_bounds(dtype, form, capped):
    low = head(rows=6, n_k=64, d=16, d_v=4, scale=0.25, capped=capped).to(dtype)
    upstream = UPSTREAM.to(dtype)
    exact, bounds, _ = bounded(low.to(torch.float64), upstream.double(), units(dtype, CPU))
    found = form(low, upstream)
    dk, dv = torch.zeros(64, 16, dtype=dtype), torch.zeros(64, 4, dtype=dtype)
    errors.add_rows(dk, found.scores, low.q)
    errors.add_rows(dv, found.weights, upstream)
    for value, oracle, bound in zip((found.dq, dk, dv), exact, bounds, strict=True):
        assert ((value.double() - oracle).abs() <= bound).all()


@pytest.mark.parametrize("capped", [False, True])
def test_a_float32_gradient_that_is_a_thousandth_too_large_is_beyond_its_bound(capped):
    one = head(rows=6, n_k=64, d=16, d_v=4, scale=0.25, capped=capped)
    exact, bounds, _ = bounded(one, UPSTREAM, units(torch.float32, CPU))
    for oracle, bound in zip(exact, bounds, strict=True):
        assert (1e-3 * oracle.abs() > bound).any()


def test_a_gradient_that_cancels_to_zero_has_a_deviation_all_the_same():
    one = head(n_k=1, dead=False)
    (dq, _, _), _, deviation = bounded(one, UPSTREAM, units(torch.float32, CPU))
    assert dq.abs().max() < 1e-15
    assert (deviation > 1e-9).all()


def test_sums_over_rows_are_the_same_in_one_block_or_in_two():
    one, unit = head(), units(torch.float32, CPU)
    whole, parts = (KeySums.zeros(one) for _ in range(2))
    exact = errors.textbook_gradients(one, UPSTREAM)
    errors.query_gradient_errors(one, errors.weights_error(one, unit), UPSTREAM, exact, whole, unit)
    for rows in (slice(0, 2), slice(2, 6)):
        part = ScoreGradients(exact.weights[rows], exact.scores[rows], exact.dq[rows])
        weights = errors.weights_error(one[rows], unit)
        errors.query_gradient_errors(one[rows], weights, UPSTREAM[rows], part, parts, unit)
    for name in ("dk_spread", "dk_terms", "dk_variance", "dv_spread", "dv_terms"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name))
    assert parts.rows == whole.rows == 6


def test_what_flushing_costs_grows_with_the_terms_and_vanishes_beside_float64():
    half, double = units(torch.float16, CPU), units(torch.float64, CPU)
    assert errors.flushed_output(100, half) == pytest.approx(4 * 2.0**-24 + 200 * 2.0**-126)
    assert errors.flushed_gradient(16, 2.0, half) > errors.flushed_gradient(4, 2.0, half)
    assert errors.flushed_gradient(4, 3.0, double) < 1e-140
    assert math.isclose(errors.flushed_gradient(14, 0.0, double), (16 + 56) * 2.0**-500)
