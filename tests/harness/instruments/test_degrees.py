"""The exact degree of an implementation's growth comes from its counts; what hides is declared with the reason."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from harness.instruments import degrees as sizes
from harness.instruments.degrees import degrees
from impls import discovery, registry
from impls.contract import Implementation, Limits

CPU = torch.device("cpu")
LIMITS = (Limits(("cpu",), ("float32",), frozenset()),)


@pytest.fixture(scope="module")
def attention():
    discovery.discover()
    return registry.problem("attention")


def implementation(function):
    return Implementation(problem="attention", name="mine", function=function, limits=LIMITS)


def degrees_of(attention, function):
    return degrees(attention, implementation(function), device=CPU, dtype=torch.float32)


@pytest.mark.parametrize("name", ["batched", "einsum", "loop", "online", "sdpa-math", "sdpa-flash"])
def test_every_implementation_has_the_exact_degrees_of_attention(attention, name):
    found = degrees(attention, registry.get("attention", name), device=CPU, dtype=torch.float32)
    assert found.how == "counted", found.reason
    assert {axis: counts.degree for axis, counts in found.axes.items() if " " not in axis} == {
        "n": 2,
        "d": 1,
        "heads": 1,
        "batch": 1,
        "n_k": 1,
    }
    assert found.axes["heads at fixed width"].products_degree == 0
    assert found.counted_products == found.modelled_products


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("phase/projections", {"n": 1, "width": 2, "batch": 1}),
        ("phase/scores", {"n": 2, "width": 1, "batch": 1}),
        ("phase/weighted-sum", {"n": 2, "width": 1, "batch": 1}),
        ("d2l", {"n": 2, "width": 2, "batch": 1}),
    ],
)
def test_every_step_of_a_module_has_its_own_degrees(name, expected):
    discovery.discover()
    found = degrees(registry.problem("multihead"), registry.get("multihead", name), device=CPU, dtype=torch.float32)
    assert {axis: counts.degree for axis, counts in found.axes.items() if " " not in axis} == expected
    assert found.counted_products == found.modelled_products


def test_a_single_operator_that_does_everything_is_declared():
    discovery.discover()
    problem, fast = registry.problem("multihead"), registry.get("multihead", "torch-module-fast")
    found = degrees(problem, fast, device=CPU, dtype=torch.float32)
    assert (found.how, found.axes) == ("declared", {})
    assert "operations are seen of" in found.reason


def test_kernels_that_skip_masked_pairs_are_told_from_those_that_only_mask(attention):
    shares = {
        name: degrees(attention, registry.get("attention", name), device=CPU, dtype=torch.float32).causal_share
        for name in ("sdpa-flash", "batched")
    }
    assert shares["sdpa-flash"] == pytest.approx(0.5, abs=0.01)
    assert shares["batched"] == 1.0


def test_a_loop_dispatches_operators_for_each_row(attention):
    def rows(q, k, v, **_):
        return torch.stack([torch.softmax(q[:, :, i : i + 1] @ k.mT, -1) @ v for i in range(q.shape[2])]).sum(3)

    assert degrees_of(attention, rows).axes["n"].calls_degree == 1
    assert degrees_of(attention, lambda q, k, v, **_: torch.softmax(q @ k.mT, -1) @ v).axes["n"].calls_degree == 0


@pytest.mark.parametrize(("block", "first"), [(1, 16), (32, 128)])
def test_what_is_launched_row_by_row_is_counted_at_short_lengths_unless_it_has_blocks(attention, block, first):
    def rows(q, k, v, **_):
        pad = -k.shape[2] % block
        k, v = (torch.nn.functional.pad(x, (0, 0, 0, pad)) for x in (k, v))
        return torch.softmax(q @ k.mT, -1) @ v

    by_row = replace(implementation(rows), call_seconds_per_row=1e-5)
    found = degrees(attention, by_row, device=CPU, dtype=torch.float32).axes["n"]
    assert (found.degree, found.sizes[0]) == (2, first)


def test_linear_windowed_and_cubic_kernels_have_their_own_degrees(attention):
    def linear(q, k, v, **_):
        return torch.softmax(q, -1) @ (torch.softmax(k, -2).mT @ v)

    def cubic(q, k, v, **_):
        weights = torch.softmax(q @ k.mT, -1)
        return (weights @ weights) @ v if q.shape[2] == k.shape[2] else weights @ v

    def disguised(q, k, v, **_):
        scores = (q.unsqueeze(3) * k.unsqueeze(2)).sum(-1)
        return torch.softmax(scores, -1) @ v

    assert degrees_of(attention, linear).axes["n"].degree == 1
    assert degrees_of(attention, cubic).axes["n"].degree == 3
    assert degrees_of(attention, disguised).axes["d"].degree == 1
    assert degrees_of(attention, disguised).axes["n"].degree == 2


def test_blocks_wider_than_the_first_sizes_get_wider_ones(attention):
    def blocked(q, k, v, **_):
        size = 256
        pad = -k.shape[2] % size
        k, v = (torch.nn.functional.pad(x, (0, 0, 0, pad)) for x in (k, v))
        return torch.softmax(q @ k.mT, -1) @ v

    found = degrees_of(attention, blocked).axes["n"]
    assert found.degree == 2
    assert found.sizes[0] == 256


def test_a_kernel_that_can_not_be_called_is_declared_with_its_reason(attention):
    def picky(q, k, v, **_):
        raise RuntimeError("only head size 64 is supported")

    found = degrees_of(attention, picky)
    assert (found.how, found.axes) == ("declared", {})
    assert "RuntimeError: only head size 64 is supported" in found.reason


def test_backward_is_counted_too(attention):
    found = degrees(
        attention, registry.get("attention", "einsum"), device=CPU, dtype=torch.float32, direction="backward"
    )
    forward = degrees(attention, registry.get("attention", "einsum"), device=CPU, dtype=torch.float32)
    assert found.axes["n"].degree == 2
    assert found.counted_products == 2 * forward.counted_products


def test_heads_of_a_fixed_width_are_counted_with_features_that_every_kernel_takes():
    features = [sizes.WIDTH // heads for heads in sizes.HEADS_AT_WIDTH]
    assert all(d % 8 == 0 and d <= 128 for d in features)
    steps = {after - before for before, after in zip(sizes.HEADS_AT_WIDTH, sizes.HEADS_AT_WIDTH[1:], strict=False)}
    assert len(steps) == 1


def textbook(q, k, v, **_):
    return torch.softmax(q @ k.mT, -1) @ v


def test_what_is_counted_is_said_with_its_sizes_and_the_axes_are_those_of_the_problem(attention):
    found = degrees_of(attention, textbook)
    assert (found.how, found.reason, found.direction, found.device) == ("counted", "", "forward", "cpu")
    assert (found.problem, found.implementation) == ("attention", "mine")
    assert set(found.axes) == {"n", "n_k", "d", "heads", "heads at fixed width", "batch"}
    for counts in found.axes.values():
        assert len(counts.sizes) == len(counts.operations) == len(counts.products) == len(counts.calls)
        steps = {after - before for before, after in itertools.pairwise(counts.sizes)}
        assert len(steps) == 1, "only equispaced sizes have exact differences"


def test_a_cross_shaped_axis_is_swept_forward_alone(attention):
    backward = degrees(attention, implementation(textbook), device=CPU, dtype=torch.float32, direction="backward")
    assert "n_k" not in backward.axes


def test_a_problem_without_heads_is_counted_along_its_queries_and_keys_alone():
    discovery.discover()
    pooling = registry.problem("pooling")
    found = degrees(pooling, registry.get("pooling", "nadaraya-watson"), device=CPU, dtype=torch.float32)
    assert set(found.axes) == {"n_q", "n_k"}
    assert {counts.degree for counts in found.axes.values()} == {1}
    assert (found.counted_products, found.modelled_products, found.causal_share) == (None, None, None)


def test_the_share_under_a_mask_is_asked_only_of_who_supports_one(attention):
    masked = Implementation(
        problem="attention", name="mine", function=textbook, limits=(Limits(("cpu",), ("float32",), {"causal"}),)
    )
    assert degrees_of(attention, textbook).causal_share is None
    assert degrees(attention, masked, device=CPU, dtype=torch.float32).causal_share == 1.0


def test_work_that_is_no_polynomial_has_counts_and_no_degree(attention):
    def padded(q, k, v, **_):
        size = 2 ** math.ceil(math.log2(k.shape[2]))
        pad = (0, 0, 0, size - k.shape[2])
        return torch.softmax(q @ torch.nn.functional.pad(k, pad).mT, -1) @ torch.nn.functional.pad(v, pad)

    found = degrees_of(attention, padded)
    assert found.how == "counted"
    assert found.axes["n"].degree is None
    assert found.axes["d"].degree == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError(""), "ValueError"),
        (TypeError("no such size\nand more"), "TypeError: no such size"),
        (
            NotImplementedError("not here"),
            "it refuses to run while operators are counted (NotImplementedError: not here)",
        ),
    ],
)
def test_whatever_a_call_raises_is_the_reason_in_a_line(attention, error, reason):
    def raises(*_, **__):
        raise error

    found = degrees_of(attention, raises)
    assert (found.how, found.axes, found.reason) == ("declared", {}, reason)


def test_what_is_none_of_a_calls_own_errors_rises(attention):
    def stops(*_, **__):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        degrees_of(attention, stops)


def test_a_kernel_that_hides_most_of_its_work_is_declared(attention):
    def hidden(q, k, v, **_):
        out = torch.empty_like(q)
        out.numpy()[:] = textbook(q.clone(), k, v).numpy() if q.shape[2] < 0 else 0.0
        return out + q * 0.0

    found = degrees_of(attention, hidden)
    assert found.how == "declared"
    assert found.axes == {}
