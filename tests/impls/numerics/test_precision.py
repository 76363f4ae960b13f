"""What float32 products may be rounded to is asked of whichever setting says so, and cuBLAS's own before any."""

from __future__ import annotations

import pytest
import torch

from impls.numerics import precision


@pytest.fixture
def settings():
    """Put back what a test says of float32 products."""
    yield torch.backends.cuda.matmul
    torch.backends.cuda.matmul.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")


def test_tf32_is_seen_by_whichever_setting_allows_it(settings, monkeypatch):
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    assert not precision.tf32_allowed()
    settings.fp32_precision = "tf32"
    with pytest.raises(RuntimeError):
        torch.get_float32_matmul_precision()
    assert precision.tf32_allowed()
    assert precision.float32_precision() == "high"
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert not precision.tf32_allowed()
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    settings.fp32_precision = "ieee"
    assert precision.tf32_allowed()


@pytest.mark.parametrize(("asked", "allowed"), [("highest", False), ("high", True), ("medium", True)])
def test_the_older_setting_is_returned_in_its_own_words(settings, monkeypatch, asked, allowed):
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    torch.set_float32_matmul_precision(asked)
    assert precision.float32_precision() == asked
    assert precision.tf32_allowed() is allowed


@pytest.mark.parametrize("override", ["", "2", "yes"])
def test_an_override_that_says_nothing_leaves_the_setting(settings, monkeypatch, override):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", override)
    assert not precision.tf32_allowed()
    torch.set_float32_matmul_precision("high")
    assert precision.tf32_allowed()
