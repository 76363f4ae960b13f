"""One call keeps the contract or its mistakes are named, whatever its numbers are."""

from __future__ import annotations

import math

import pytest
import torch

from harness.gate.call import upstream_gradient
from impls.attention.batched import batched
from impls.contract import Output
from tests.harness.gate.test_agreement import gate


@pytest.mark.parametrize(
    ("returned", "mistake"),
    [
        (lambda _: None, "out is NoneType, not torch.Tensor"),
        (lambda q: q[..., :-1].clone(), r"out has shape \(2, 2, 40, 15\), not \(2, 2, 40, 16\)"),
        (lambda q: q.double(), "out has dtype torch.float64, not torch.float32"),
        (lambda q: q, "out shares memory with an input"),
        (lambda q: (q.clone(), q.clone()), "returned 2 values, not 1"),
        (lambda q: torch.full_like(q, math.nan), "elements that are not finite, first at"),
        (lambda q: torch.nn.Parameter(q.clone()), "out is Parameter, not torch.Tensor"),
        (lambda q: q.fill_(0.0).clone(), "input 0 was changed"),
    ],
)
def test_a_broken_contract_is_named(returned, mistake):
    agreement = gate(lambda q, *_, **__: returned(q))
    assert not agreement.passed
    (check,) = agreement.checks
    assert check.name == "contract"
    with pytest.raises(AssertionError, match=mistake):
        raise AssertionError(check.detail)


LATER = ("detach", "isfinite", "double", "cpu", "clone", "index_select", "untyped_storage", "unremarkable")


@pytest.mark.parametrize("method", LATER)
def test_a_result_that_computes_when_it_is_looked_at_is_refused(method):
    def lazy(q, k, v, **options):
        out = q.new_zeros(*q.shape[:3], v.shape[-1])
        setattr(out, method, lambda *_: batched(q, k, v, **options))
        return out

    agreement = gate(lazy)
    assert not agreement.passed
    assert agreement.checks[0].detail == f"out has attributes of its own: {method}"


def test_a_tuple_that_computes_when_it_is_looked_at_is_refused():
    class Lazy(tuple):
        __slots__ = ()

    agreement = gate(lambda q, k, v, **options: Lazy([batched(q, k, v, **options)]))
    assert agreement.checks[0].detail == "out is Lazy, not torch.Tensor"


def test_an_answer_kept_on_an_input_is_refused():
    def keeps(q, k, v, **options):
        q.kept = batched(q, k, v, **options)
        return q.kept.clone()

    assert gate(keeps).checks[0].detail == "input 0 was given attributes: kept"


def test_a_gradient_that_does_not_reach_an_input_is_named():
    agreement = gate(lambda q, k, v, **o: batched(q, k.detach(), v, **o), direction="backward")
    assert not agreement.passed
    assert agreement.checks[0].detail == "dk is NoneType, not torch.Tensor"


def test_what_was_never_written_shows():
    def unwritten_tail(q, k, v, **options):
        out = torch.empty_like(q)
        out[..., :-1, :] = batched(q, k, v, **options)[..., :-1, :]
        return out

    assert not gate(unwritten_tail).passed


def test_an_upstream_gradient_has_the_same_values_in_every_layout():
    output, rows, like = Output("out", (2, 3, 5, 4), row_axis=2), torch.arange(5), torch.zeros(1)
    dense, strided = (upstream_gradient(output, rows=rows, like=like, seed=0, layout=x) for x in ("dense", "strided"))
    assert torch.equal(dense, strided)
    assert not strided.is_contiguous()
    assert set(upstream_gradient(output, rows=rows, like=like, seed=0, layout="expanded").stride()) == {0}
