"""Attention pooling: every method agrees with the oracle, and the oracle rejects what is wrong."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from impls import registry
from impls.pooling import problem as pooling
from impls.pooling.nadaraya_watson import nadaraya_watson
from tests.support.pools import CPU, METHODS, gate


@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("name", METHODS)
def test_every_method_agrees_with_the_oracle(name, dtype, direction):
    entry = registry.get("pooling", name)
    if direction != "forward" and "backward" not in entry.limits_on("cpu").supports:
        pytest.skip(f"{name} has nothing to train")
    for probe in pooling.PROBES:
        agreement = gate(entry, probe, direction=direction, dtype=dtype)
        assert agreement.passed, (probe.name, [check for check in agreement.checks if not check.passed])


@pytest.mark.parametrize("wrong", ["predictions", "weights", "narrower"])
def test_a_wrong_method_is_rejected(wrong):
    def broken(queries, keys, values, *, kernel, w):
        predictions, weights = nadaraya_watson(
            queries, keys, values, kernel=kernel, w=1.01 * w if wrong == "narrower" else w
        )
        return (
            predictions * (1.001 if wrong == "predictions" else 1.0),
            weights.flip(0) if wrong == "weights" else weights,
        )

    entry = dataclasses.replace(registry.get("pooling", "nadaraya-watson"), function=broken)
    assert not gate(entry, pooling.PROBES[0]).passed


def drawn(point, *, dtype=torch.float64, seed=0, kind="normal"):
    return pooling.inputs(pooling.parse(point), dtype=dtype, device=CPU, seed=seed, kind=kind)


def test_what_is_left_out_is_a_gaussian_of_scale_one():
    assert pooling.parse({"n": 7}) == pooling.Point(n_q=7, n_k=7, kernel="gaussian", w=1.0)
    assert pooling.parse({"n": 7, "n_q": 2, "w": 3}) == pooling.Point(n_q=2, n_k=7, kernel="gaussian", w=3.0)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"n": 4, "kernal": "boxcar"}, "no axis 'kernal'; did you mean 'kernel'"),
        ({"n": 4, "kernel": "boxcart"}, "no kernel 'boxcart'; did you mean 'boxcar'"),
        ({"n": 4, "w": float("nan")}, "w must be a finite number, not nan"),
        ({"n": 4, "w": True}, "w must be a finite number, not True"),
        ({"n_q": 4}, "n_k is missing"),
        ({"n": 0}, "n_q must be a positive integer, not 0; n_k must"),
    ],
)
def test_a_mistaken_point_is_refused_with_its_reason(point, message):
    with pytest.raises(ValueError, match=message):
        pooling.parse(point)


def test_the_data_is_the_tutorials_sorted_noisy_and_the_same_for_a_seed():
    inputs = drawn({"n_q": 20, "n_k": 2000})
    assert torch.equal(inputs.keys, inputs.keys.sort().values)
    assert 0 <= inputs.keys.min() <= inputs.keys.max() < pooling.SPAN
    noise = inputs.values - pooling.truth(inputs.keys)
    assert noise.std().item() == pytest.approx(pooling.NOISE, rel=0.1)
    assert torch.equal(inputs.values, drawn({"n_q": 20, "n_k": 2000}).values)
    assert not torch.equal(inputs.values, drawn({"n_q": 20, "n_k": 2000}, seed=1).values)
    assert inputs.queries.diff().unique().numel() <= 20
    assert inputs.queries[0].item() == pytest.approx(0.25)


def test_gaps_leave_queries_without_a_key_in_reach():
    point = {"n_q": 33, "n_k": 20, "kernel": "boxcar", "w": 2.0}
    gaps, normal = drawn(point, kind="gaps"), drawn(point)
    assert ((gaps.keys < 0.5) | (gaps.keys > pooling.SPAN - 0.5)).all()
    out = {
        name: nadaraya_watson(x.queries, x.keys, x.values, kernel="boxcar", w=2.0)[1]
        for name, x in (("gaps", gaps), ("normal", normal))
    }
    assert out["gaps"].sum(-1).eq(0).sum() > out["normal"].sum(-1).eq(0).sum()


@pytest.mark.parametrize("kernel", pooling.KERNELS)
def test_only_smooth_kernels_have_a_gradient_for_the_scale(kernel):
    inputs = drawn({"n": 4, "kernel": kernel})
    assert inputs.names == (("values", "w") if kernel in {"gaussian", "epanechnikov"} else ("values",))
    assert len(inputs.differentiable) == len(inputs.names)
    assert len(inputs.tensors) == 4


def test_what_a_call_returns_is_described():
    point = pooling.parse({"n_q": 3, "n_k": 5})
    inputs = pooling.inputs(point, dtype=torch.float32, device=CPU, seed=0)
    found = pooling.bind(registry.get("pooling", "nadaraya-watson"), inputs)()
    assert [tuple(one.shape) for one in found] == [output.shape for output in pooling.outputs(point)]
    assert [output.shape[output.row_axis] for output in pooling.outputs(point)] == [3, 3]


@pytest.mark.parametrize("count", [2, 7, 99])
def test_sampled_queries_hold_both_ends_and_are_as_many_as_asked_for(count):
    rows = pooling.sample_rows(pooling.parse({"n_q": 100, "n_k": 5}), count=count, seed=1)
    assert len(rows.unique()) == len(rows) == count
    assert {0, 99} <= set(rows.tolist())
    assert pooling.sample_rows(pooling.parse({"n_q": 5, "n_k": 5}), count=5, seed=1).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("kernel", pooling.KERNELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_references_stay_within_the_bound(kernel, dtype):
    inputs = drawn({"n_q": 9, "n_k": 40, "kernel": kernel}, dtype=dtype)
    for found in pooling.witness(inputs, torch.arange(9)):
        assert ((found.reference - found.oracle).abs() <= found.bound).all()


@pytest.mark.parametrize("kernel", pooling.KERNELS)
def test_the_oracle_on_sampled_queries_is_the_whole_methods_in_float64(kernel):
    inputs = drawn({"n_q": 9, "n_k": 12, "kernel": kernel, "w": 0.7})
    whole = nadaraya_watson(inputs.queries, inputs.keys, inputs.values, kernel=kernel, w=0.7)
    rows = torch.tensor([0, 4, 8])
    for found, all_rows in zip(pooling.witness(inputs, rows), whole, strict=True):
        torch.testing.assert_close(found.oracle, all_rows[rows])


def test_a_cost_counts_pairs_and_the_bytes_of_the_tensors():
    point = pooling.parse({"n_q": 3, "n_k": 5, "kernel": "boxcar"})
    inputs = drawn({"n_q": 3, "n_k": 5, "kernel": "boxcar"}, dtype=torch.float32)
    forward, both = (pooling.cost(point, itemsize=4, direction=way) for way in ("forward", "forward+backward"))
    assert forward.operations == (5 + 2) * 15
    assert both.operations == 3 * forward.operations
    assert forward.input_bytes == sum(x.nbytes for x in inputs.tensors)
    assert forward.output_bytes == 4 * (3 + 15)
    assert forward.required == 15
    assert pooling.cost(pooling.parse({"n": 3}), itemsize=4, direction="forward").required is None


def test_a_direction_with_gradients_asks_for_them():
    point = pooling.parse({"n": 3})
    assert pooling.features(point, direction="forward") == frozenset()
    assert pooling.features(point, direction="backward") == {"backward"}
