"""PyTorch's attention: each backend is pinned by a context, under limits of its own on each device."""

from __future__ import annotations

from impls import discovery, registry


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
