"""What vendors state of their devices, beside what is measured."""

from __future__ import annotations

from dataclasses import dataclass

import torch

TERA = 1e12
GIGA = 1e9


@dataclass(frozen=True)
class Datasheet:
    """A vendor's peak figures without sparsity: FLOP/s of matrix products by dtype, bytes/s of memory."""

    matmul: dict[str, float]
    bandwidth: float
    source: str


def _datasheet(
    half: float, single: float, double: float, bandwidth: float, *, source: str, bfloat: bool = True
) -> Datasheet:
    """Build an entry from TFLOP/s and GB/s; 0 for a rate that the source does not give."""
    rates = {"float16": half, "bfloat16": half if bfloat else 0.0, "float32": single, "float64": double}
    return Datasheet({dtype: rate * TERA for dtype, rate in rates.items() if rate}, bandwidth * GIGA, source)


# By the exact name that the driver gives; a device not listed is unknown and stays so.
DATASHEETS = {
    "NVIDIA H200": _datasheet(989.5, 67, 67, 4800, source="NVIDIA H200 Tensor Core GPU datasheet, H200 SXM"),
    "NVIDIA H100 80GB HBM3": _datasheet(989.5, 67, 67, 3350, source="NVIDIA H100 Tensor Core GPU datasheet, H100 SXM"),
    "NVIDIA A100-SXM4-80GB": _datasheet(312, 19.5, 19.5, 2039, source="NVIDIA A100 Tensor Core GPU datasheet, SXM"),
    "NVIDIA A100-SXM4-40GB": _datasheet(312, 19.5, 19.5, 1555, source="NVIDIA A100 Tensor Core GPU datasheet, SXM"),
    "NVIDIA A100 80GB PCIe": _datasheet(312, 19.5, 19.5, 1935, source="NVIDIA A100 Tensor Core GPU datasheet, PCIe"),
    "NVIDIA L40S": _datasheet(362.05, 91.6, 0, 864, source="NVIDIA L40S datasheet"),
    "NVIDIA L4": _datasheet(121, 30.3, 0, 300, source="NVIDIA L4 Tensor Core GPU datasheet"),
    "NVIDIA A10": _datasheet(125, 31.2, 0, 600, source="NVIDIA A10 Tensor Core GPU datasheet"),
    "Tesla V100-SXM2-16GB": _datasheet(125, 15.7, 7.8, 900, source="NVIDIA V100 datasheet, SXM2", bfloat=False),
    "Tesla V100-SXM2-32GB": _datasheet(125, 15.7, 7.8, 900, source="NVIDIA V100 datasheet, SXM2", bfloat=False),
    "Tesla T4": _datasheet(65, 8.1, 0, 320, source="NVIDIA T4 datasheet", bfloat=False),
}


def datasheet(device: str) -> Datasheet | None:
    """Return a CUDA device's datasheet figures, None for a device that is not listed or is no GPU."""
    target = torch.device(device)
    return DATASHEETS.get(torch.cuda.get_device_name(target)) if target.type == "cuda" else None
