"""PyTorch's attention: each backend is pinned by a context, under limits of its own on each device."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from impls import discovery, registry
from impls.attention.batched import batched
from impls.attention.sdpa import lower_right, sdpa_auto, sdpa_cudnn, sdpa_flash, sdpa_math
from tests.support.attending import SIZES, by_formula, called, drawn, watched


def test_every_pinned_backend_of_pytorch_is_chosen_outside_of_the_call():
    discovery.discover()
    pinned = {
        "math": "MATH",
        "flash": "FLASH_ATTENTION",
        "efficient": "EFFICIENT_ATTENTION",
        "cudnn": "CUDNN_ATTENTION",
    }
    for name, member in pinned.items():
        for problem, full in (("attention", f"sdpa-{name}"), ("multihead", f"mha/sdpa-{name}")):
            assert registry.get(problem, full).within_name == f"sdpa_kernel(SDPBackend.{member})"
    assert registry.get("attention", "sdpa-auto").within_name == ""


def test_limits_differ_by_device():
    discovery.discover()
    flash = registry.get("attention", "sdpa-flash")
    assert "valid_lens" in flash.limits_on("cpu").supports
    assert "valid_lens" not in flash.limits_on("cuda").supports
    assert flash.limits_on("mps") is None


# One call for each backend of a CPU: what it takes beyond this, its limits say.
SHARED = {**SIZES, "d_v": 3}


@pytest.mark.parametrize("name", ["sdpa-math", "sdpa-flash", "sdpa-auto"])
@pytest.mark.parametrize(
    "mask",
    [
        {},
        {"causal": True},
        {"causal": True, "n_q": 7, "n_k": 4},
        {"causal": True, "n_q": 1},
        {"valid_lens": "batch_empty"},
        {"causal": True, "valid_lens": "rows"},
        {"scale": 0.2},
        {"window": 2},
        {"window": 2, "causal": True, "valid_lens": "batch_ends"},
        {"bias": "heads", "causal": True},
        {"bias": "batch", "n_q": 1, "causal": True},
    ],
    ids=str,
)
def test_each_backend_gives_what_the_formula_gives_under_every_mask(name, mask):
    entry = registry.get("attention", name)
    inputs = drawn({**SHARED, **mask})
    with entry.entered():
        torch.testing.assert_close(called(entry.function, inputs), by_formula(inputs))


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("sdpa-math", "_scaled_dot_product_attention_math"),
        ("sdpa-flash", "_scaled_dot_product_flash_attention_for_cpu"),
    ],
)
def test_a_pinned_backend_runs_what_it_declares_inside_its_context(name, operator):
    entry = registry.get("attention", name)
    with entry.entered():
        found = set(_profiled(entry.function, drawn({"n": 9, "d": 8}, dtype=torch.float32)))
    assert f"aten::{operator}" in found
    (expected,) = entry.limits_on("cpu").expects.names
    assert expected in operator


def _profiled(function, inputs):
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        called(function, inputs)
    return [event.key for event in profile.key_averages()]


# PyTorch says why a pinned backend takes no inputs of this kind, and then raises.
@pytest.mark.filterwarnings("ignore:Flash attention", "ignore:All fused kernels")
def test_what_flash_does_not_declare_it_refuses():
    entry = registry.get("attention", "sdpa-flash")
    assert "d_v" not in entry.limits_on("cpu").supports
    with entry.entered(), pytest.raises(RuntimeError, match="No available kernel"):
        called(sdpa_flash, drawn({"n": 4, "d": 8, "d_v": 4}))


@pytest.mark.parametrize(
    ("point", "given"),
    [({"n": 6}, False), ({"n_q": 1, "n_k": 6}, False), ({"n_q": 3, "n_k": 6}, True), ({"n": 6, "valid_lens": 4}, True)],
    ids=str,
)
def test_a_causal_mask_is_made_only_where_the_kernels_own_is_another(point, given):
    inputs = drawn({**point, "d": 2, "causal": True}, dtype=torch.float32)
    noted = watched(sdpa_flash, inputs, within=registry.get("attention", "sdpa-flash").entered())
    assert ("tril" in noted.operators) is given
    assert "_scaled_dot_product_flash_attention_for_cpu" in noted.operators


def test_a_single_query_sees_every_key_under_a_causal_mask():
    point = {"n_q": 1, "n_k": 6, "d": 2}
    causal, plain = called(sdpa_auto, drawn({**point, "causal": True})), called(sdpa_auto, drawn(point))
    assert torch.equal(causal, plain)


def test_key_heads_are_repeated_by_pytorch_and_not_copied_before():
    inputs = drawn({"n": 5, "d": 4, "heads": 6, "kv_heads": 2}, dtype=torch.float32)
    torch.testing.assert_close(called(sdpa_auto, inputs), called(batched, inputs))
    assert "gqa" in registry.get("attention", "sdpa-flash").limits_on("cuda").supports


def test_the_causal_bias_of_pytorch_is_bottom_right_and_made_once():
    bias = lower_right(2, 5)
    assert bias is lower_right(2, 5)
    assert bias._materialize().tolist() == [[True] * 4 + [False], [True] * 5]


@pytest.mark.parametrize("name", ["sdpa-efficient", "sdpa-cudnn"])
def test_backends_of_a_gpu_run_nowhere_else(name):
    entry = registry.get("attention", name)
    assert entry.limits_on("cpu") is None
    assert entry.limits_on("cuda").expects.kernels
    assert not entry.deterministic
    assert "float64" not in entry.limits_on("cuda").dtypes


def test_the_math_backend_plans_16_bit_scores_in_float32():
    entry = registry.get("attention", "sdpa-math")
    assert entry.buffers("float16") == entry.buffers("bfloat16") == 2 * entry.buffers("float32")
    noted = watched(sdpa_math, drawn({"n": 9, "d": 2}, dtype=torch.bfloat16), within=entry.entered())
    assert noted.largest == 9 * 9


@pytest.mark.parametrize("scale", [0.0, -0.3])
def test_flash_on_a_gpu_declines_scales_that_it_answers_with_nan(scale):
    q = SimpleNamespace(is_cuda=True, element_size=lambda: 2)
    for function in (sdpa_flash, sdpa_cudnn, sdpa_auto):
        with pytest.raises(NotImplementedError, match="NaN for a scale of 0 or less"):
            function(q, q, q, scale=scale)
    assert sdpa_flash(*drawn({"n": 5, "d": 4}, dtype=torch.float32).tensors[:3], scale=scale).isfinite().all()


def test_on_a_gpu_a_bias_for_what_begins_beside_an_aligned_address_is_declined():
    q = SimpleNamespace(is_cuda=True, element_size=lambda: 2, data_ptr=lambda: 64 + 2)
    with pytest.raises(NotImplementedError, match="misaligned address"):
        sdpa_auto(q, q, q, bias=q)
    aligned = drawn({"n": 5, "d": 8}, dtype=torch.bfloat16).tensors[:3]
    beside = [torch.nn.functional.pad(one, (1, 0))[..., 1:] for one in aligned]
    assert sdpa_auto(*beside, bias=torch.zeros(5, 5, dtype=torch.bfloat16)).isfinite().all()


def test_what_chooses_cudnn_on_a_gpu_is_not_asked_what_cudnn_gets_wrong():
    for name in ("sdpa-auto", "sdpa-cudnn"):
        limits = registry.get("attention", name).limits_on("cuda")
        assert "dead_rows" not in limits.supports
        assert limits.faults.keys() == {"huge padding", "strided gradient", "sliced gradient"}
    assert "dead_rows" in registry.get("attention", "sdpa-auto").limits_on("cpu").supports
