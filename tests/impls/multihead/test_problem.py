"""Multi-head attention: every module agrees with the oracle, and has the properties that the tutorial's one has."""

from __future__ import annotations

import math

import pytest
import torch

from impls import registry
from impls.multihead import problem as multihead
from impls.multihead.steps import Weights
from tests.support import sample
from tests.support.modules import CPU, MODULES, WHOLE, failures, gate


def in_dtypes(name):
    """Pair a module with each of its dtypes, of which the ordinary suite takes one."""
    declared = registry.get("multihead", name).limits_on("cpu").dtypes
    dtypes = [dtype for dtype in ("float32", "bfloat16", "float64") if dtype in declared]
    return [pytest.param(name, dtype, marks=sample.marks(name, dtype, dtypes)) for dtype in dtypes]


@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
@pytest.mark.parametrize(("name", "dtype"), [case for name in MODULES for case in in_dtypes(name)])
def test_every_module_and_step_agrees_with_the_oracle(name, dtype, direction):
    entry = registry.get("multihead", name)
    limits = entry.limits_on("cpu")
    checked = 0
    for probe in multihead.PROBES:
        try:
            point = registry.parse(entry, probe.point)
        except ValueError:
            assert entry.fixes, f"{name} refuses {probe.name}"
            continue
        if multihead.features(point, direction=direction) - limits.supports:
            continue
        agreement = gate(entry, point, direction=direction, dtype=getattr(torch, dtype), kind=probe.kind)
        assert agreement.passed, (probe.name, failures(agreement))
        checked += 1
    expected = direction == "forward" or "backward" in limits.supports
    assert (checked > 0) == expected


@pytest.mark.parametrize(
    "name", [n for n in WHOLE if "dropout" in registry.get("multihead", n).limits_on("cpu").supports]
)
def test_dropout_drops_weights_at_its_rate_and_rescales_the_rest(name):
    # With one-hot values and an identity for the output, the output of a single head is its row of weights.
    n, rate = 64, 0.3
    eye = torch.eye(n)
    weights = Weights(torch.zeros(n, n), torch.zeros(n, n), eye, eye)
    inputs = multihead.Inputs(eye[None], eye[None], eye[None], weights, heads=1, dropout=rate)
    torch.manual_seed(3)
    out = multihead.bind(registry.get("multihead", name), inputs)()[0]
    kept = out != 0
    assert torch.allclose(out[kept], torch.tensor(1 / n / (1 - rate)))
    # Five standard deviations of a binomial share.
    assert abs(kept.double().mean().item() - (1 - rate)) < 5 * math.sqrt(rate * (1 - rate)) / n


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", WHOLE)
def test_constant_inputs_give_the_same_row_whatever_the_mask(name, dtype):
    """The tutorial's example: with ones for inputs every row of the output is W_o W_v 1."""
    entry = registry.get("multihead", name)
    point = multihead.parse({"n_q": 4, "n_k": 6, "width": 100, "heads": 5, "batch": 2})
    limits = entry.limits_on("cpu")
    if str(dtype).removeprefix("torch.") not in limits.dtypes or "cross_attention" not in limits.supports:
        pytest.skip(f"{name} doesn't run the example's shapes in {dtype}")
    weights = multihead.inputs(point, dtype=dtype, device=CPU, seed=5).weights
    x_q, x_k = torch.ones(2, 4, 100, dtype=dtype), torch.ones(2, 6, 100, dtype=dtype)
    expected = weights.w_o.double() @ (weights.w_v.double() @ torch.ones(100, dtype=torch.float64))
    # Two sums of a hundred terms: Higham and Mary's 4 sqrt(m) u for each, over the sums of absolute values.
    magnitude = (weights.w_o.double().abs() @ weights.w_v.double().abs().sum(-1)).max().item()
    bound = 2 * 4 * math.sqrt(102) * torch.finfo(dtype).eps / 2 * magnitude
    for lens in (None, torch.tensor([3, 2]), torch.tensor([[1, 2, 3, 4], [6, 5, 4, 3]])):
        inputs = multihead.Inputs(x_q, x_k, x_k, weights, heads=5, valid_lens=lens)
        out = multihead.bind(entry, inputs)()
        assert out.shape == (2, 4, 100)
        assert (out.double() - expected).abs().max().item() < bound
        assert (out - out[:, :1]).abs().max().item() < bound


def test_the_steps_operations_are_those_of_the_complexity_analysis():
    n, width, heads = 96, 48, 4
    point = multihead.parse({"n": n, "width": width, "heads": heads, "batch": 2})
    phases = multihead.phase_operations(point)
    assert phases == {
        "projections": 2 * 2 * n * 3 * width**2,
        "scores": 2 * 2 * n**2 * width,
        "softmax": 5 * 2 * heads * n**2,
        "weighted sum": 2 * 2 * n**2 * width,
        "output": 2 * 2 * n * width**2,
    }
    cost = multihead.cost(point, itemsize=4, direction="forward")
    assert cost.operations == sum(phases.values()) - phases["softmax"]
    backward = multihead.cost(point, itemsize=4, direction="backward")
    both = multihead.cost(point, itemsize=4, direction="forward+backward")
    assert both.operations == cost.operations + backward.operations


def test_attention_overtakes_the_projections_at_twice_the_width():
    def shares(n):
        phases = multihead.phase_operations(multihead.parse({"n": n, "width": 64, "heads": 2}))
        return phases["scores"] + phases["weighted sum"], phases["projections"] + phases["output"]

    assert shares(127)[0] < shares(127)[1]
    assert shares(128)[0] == shares(128)[1]
    assert shares(129)[0] > shares(129)[1]


@pytest.mark.parametrize("name", [n for n in MODULES if n not in {"mha/loop", "torch-module-fast"}])
def test_products_counted_while_they_run_are_those_of_the_model(name):
    from harness.instruments.degrees import degrees

    entry = registry.get("multihead", name)
    counted = degrees(multihead, entry, device=CPU, dtype=torch.float32)
    assert counted.how == "counted", counted.reason
    if name != "phase/softmax":
        assert counted.counted_products == counted.modelled_products
    expected = {
        "phase/projections": (1, 2),
        "phase/output": (1, 2),
        "phase/scores": (2, 1),
        "phase/weighted-sum": (2, 1),
        "phase/softmax": (2, 0),
    }.get(name, (2, 2))
    assert (counted.axes["n"].degree, counted.axes["width"].degree) == expected
