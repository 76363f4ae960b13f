"""The gate rejects gradients that are wrong by little, and accepts what fused kernels leave of those that cancel."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from impls import registry
from impls.multihead import _oracle, steps
from impls.multihead import problem as multihead
from impls.multihead._gradients import bounded_gradients
from impls.multihead.d2l import d2l
from impls.multihead.steps import Weights
from impls.numerics.errors import units
from tests.support.modules import CPU, PROBES, failures, gate


def test_a_module_with_a_detached_projection_is_rejected():
    def detached(x_q, x_k, x_v, weights, **options):
        return d2l(x_q, x_k, x_v, weights._replace(w_k=weights.w_k.detach() + 0.0 * weights.w_k), **options)

    entry = dataclasses.replace(registry.get("multihead", "d2l"), function=detached)
    agreement = gate(entry, registry.parse(entry, PROBES["plain"].point), direction="forward+backward")
    assert {name.split()[0] for name, _, _ in failures(agreement)} == {"dw_k"}


class Changed(torch.autograd.Function):
    """Pass a tensor on, and its gradient through a function."""

    @staticmethod
    def forward(context, x, change):
        context.change = change
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return context.change(gradient), None


def with_weights(**changes):
    """Return d2l's function with weights passed through the named functions first."""

    def broken(x_q, x_k, x_v, weights, **options):
        return d2l(
            x_q, x_k, x_v, weights._replace(**{n: f(getattr(weights, n)) for n, f in changes.items()}), **options
        )

    return broken


def without_gradient(tensor):
    return tensor.detach() + 0.0 * tensor


def gradients_found_wrong(broken, probe, *, dtype=torch.float64):
    """Return the names of the tensors whose checks fail, of a module that is right but for its gradients."""
    entry = dataclasses.replace(registry.get("multihead", "d2l"), function=broken)
    point = registry.parse(entry, PROBES[probe].point)
    assert gate(entry, point, dtype=dtype).passed, "its output is right"
    return {name.split()[0] for name, _, _ in failures(gate(entry, point, dtype=dtype, direction="forward+backward"))}


PARAMETERS = ("w_q", "w_k", "w_v", "w_o", "b_q", "b_v", "b_o")


@pytest.mark.parametrize("probe", ["bias", "large logits", "lengths per row", "other sizes", "the tutorial's shapes"])
@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_float64_gradient_that_is_a_billionth_too_large_is_rejected(parameter, probe):
    if parameter.startswith("b_") and probe != "bias":
        pytest.skip("the probe has no biases")
    broken = with_weights(**{parameter: lambda w: Changed.apply(w, lambda gradient: gradient * (1 + 1e-9))})
    assert gradients_found_wrong(broken, probe) == {f"d{parameter}"}


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_gradient_that_is_left_out_is_rejected_in_float64(parameter):
    assert gradients_found_wrong(with_weights(**{parameter: without_gradient}), "bias") == {f"d{parameter}"}


def test_a_key_bias_whose_gradient_is_not_zero_is_rejected_in_float64():
    # Softmax doesn't see what is added to all scores of a row, so the exact gradient is zero.
    broken = with_weights(b_k=lambda b: Changed.apply(b, lambda gradient: gradient + 1e-9))
    assert gradients_found_wrong(broken, "bias") == {"db_k"}


def test_a_float64_gradient_held_in_single_precision_is_rejected():
    broken = with_weights(w_v=lambda w: Changed.apply(w, lambda gradient: gradient.float().double()))
    assert gradients_found_wrong(broken, "plain") == {"dw_v"}


@pytest.mark.parametrize("path", ["queries", "keys", "values"])
@pytest.mark.parametrize("factor", [0.0, 1 + 1e-8], ids=["missing", "off"])
def test_an_input_whose_gradient_lacks_a_path_is_rejected_in_float64(path, factor):
    def wrong(x):
        return Changed.apply(x, lambda gradient: gradient * factor)

    def broken(x_q, x_k, x_v, weights, **options):
        sources = {"queries": x_q, "keys": x_k, "values": x_v}
        return d2l(*(wrong(x) if name == path else x for name, x in sources.items()), weights, **options)

    assert gradients_found_wrong(broken, "plain") == {"dx"}


def test_a_backward_that_stops_at_the_normaliser_is_rejected_in_float64():
    def broken(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0):
        q, k, v = (steps.project(x, w, None, heads=heads) for x, w in zip((x_q, x_k, x_v), weights[:3], strict=True))
        scores = steps.score(q, k)
        heights = (scores - scores.detach().amax(-1, keepdim=True)).exp()
        attention = heights / heights.sum(-1, keepdim=True).detach()
        return steps.combine(steps.weigh(attention, v), weights.w_o, None, heads=heads)

    assert gradients_found_wrong(broken, "plain") == {"dx", "dw_q", "dw_k"}


def test_a_gradient_left_out_under_dropout_is_rejected_in_float64_too():
    entry = registry.get("multihead", "d2l")
    point = registry.parse(entry, {"n": 128, "width": 64, "heads": 4, "dropout": 0.5})
    both = {"direction": "forward+backward", "dtype": torch.float64}
    assert gate(entry, point, **both).passed
    broken = dataclasses.replace(entry, function=with_weights(w_v=without_gradient))
    assert {name.split()[0] for name, _, _ in failures(gate(broken, point, **both))} == {"dw_v"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("sizes", [{"n_q": 40, "n_k": 1}, {"n_q": 1, "n_k": 6}], ids=["one key", "one query"])
@pytest.mark.parametrize("name", ["d2l", "torch-module", "mha/sdpa-flash", "mha/online"])
def test_what_fused_kernels_leave_of_a_gradient_that_cancels_is_no_mistake(name, sizes, dtype):
    # With one key the weights are one whatever the scores, and the exact gradients of queries and keys are zero.
    entry = registry.get("multihead", name)
    point = registry.parse(entry, {**sizes, "width": 40, "heads": 5, "batch": 3, "bias": True})
    for seed in range(5):
        found = gate(entry, point, dtype=dtype, direction="forward+backward", kind="large logits", seed=seed)
        assert found.passed, failures(found)


@pytest.mark.parametrize("probe", ["bias", "lengths per row", "cross-attention", "large logits"])
def test_the_analysed_backward_is_autograds(probe):
    point = multihead.parse(PROBES[probe].point)
    inputs = multihead.inputs(point, dtype=torch.float64, device=CPU, seed=3, kind=PROBES[probe].kind)
    gradient = torch.randn(point.n_q, point.width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = torch.arange(point.n_q)
    mask = _oracle._mask(inputs, 0, rows)
    sources = [x[0].clone().requires_grad_(True) for x in (inputs.x_q, inputs.x_k, inputs.x_v)]
    parameters = {name: w.clone().requires_grad_(True) for name, w in inputs.parameters.items()}
    out = _oracle.plain(sources, Weights(**parameters), heads=point.heads, mask=mask)
    expected = torch.autograd.grad(out, [*sources, *parameters.values()], gradient)
    found = bounded_gradients(
        [x.detach() for x in sources], inputs.weights, gradient,
        heads=point.heads, mask=mask, unit=units(torch.float64, CPU), terms=point.n_k,
    )  # fmt: skip
    for name, exact in zip(("x_q", "x_k", "x_v", *parameters), expected, strict=True):
        assert ((found[name].value - exact).abs() <= found[name].bound).all(), name
