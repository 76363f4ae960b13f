"""What float32 products may be rounded to on CUDA, whichever of PyTorch's settings was used to say so."""

from __future__ import annotations

import os

import torch


def tf32_allowed() -> bool:
    """Tell whether float32 products may run in TF32.

    cuBLAS obeys NVIDIA_TF32_OVERRIDE before anything that PyTorch asks for. Since torch 2.9 there are two settings, and
    the older one can't be read once the newer was used.
    """
    override = os.environ.get("NVIDIA_TF32_OVERRIDE")
    return override == "1" if override in {"0", "1"} else float32_precision() != "highest"


def float32_precision() -> str:
    """Return what is set, in the older setting's words: highest, high or medium."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        newer = str(getattr(torch.backends.cuda.matmul, "fp32_precision", "none"))
        return "high" if newer in {"tf32", "bf16"} else "highest"
