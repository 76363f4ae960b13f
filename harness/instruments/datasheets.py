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


# By the exact name that the driver gives; a device not listed is unknown and stays so. A source is the vendor's
# document that states the figures; they were read in other pages' copies of it, of which one gives B200 7.7 TB/s.
DATASHEETS = {
    "NVIDIA H200": _datasheet(989.5, 67, 67, 4800, source="NVIDIA H200 Tensor Core GPU datasheet, H200 SXM"),
    "NVIDIA H200 NVL": _datasheet(835.5, 60, 60, 4800, source="NVIDIA H200 Tensor Core GPU datasheet, H200 NVL"),
    "NVIDIA H100 80GB HBM3": _datasheet(989.5, 67, 67, 3350, source="NVIDIA H100 Tensor Core GPU datasheet, H100 SXM"),
    "NVIDIA H100 PCIe": _datasheet(756.5, 51, 51, 2000, source="NVIDIA H100 Tensor Core GPU datasheet, H100 PCIe"),
    "NVIDIA H100 NVL": _datasheet(835.5, 60, 60, 3900, source="NVIDIA H100 Tensor Core GPU datasheet, H100 NVL"),
    "NVIDIA GH200 480GB": _datasheet(989.5, 67, 67, 4000, source="NVIDIA GH200 Superchip datasheet, 96 GB of HBM3"),
    "NVIDIA GH200 144G HBM3e": _datasheet(989.5, 67, 67, 4900, source="NVIDIA GH200 Superchip datasheet, HBM3e"),
    # Given for eight: 18 PFLOP/s dense in 16 bit, 600 TFLOP/s in float32, 296 in float64, 64 TB/s.
    "NVIDIA B200": _datasheet(2250, 75, 37, 8000, source="NVIDIA HGX B200 and DGX B200 datasheets, an eighth of each"),
    "NVIDIA A100-SXM4-80GB": _datasheet(312, 19.5, 19.5, 2039, source="NVIDIA A100 Tensor Core GPU datasheet, SXM"),
    "NVIDIA A100-SXM4-40GB": _datasheet(312, 19.5, 19.5, 1555, source="NVIDIA A100 Tensor Core GPU datasheet, SXM"),
    "NVIDIA A100 80GB PCIe": _datasheet(312, 19.5, 19.5, 1935, source="NVIDIA A100 Tensor Core GPU datasheet, PCIe"),
    "NVIDIA L40S": _datasheet(362.05, 91.6, 0, 864, source="NVIDIA L40S datasheet"),
    # GeForce adds products of 16 bit up in float32, as PyTorch asks for, at half the rate of float16.
    "NVIDIA GeForce RTX 4090": _datasheet(
        165.2, 82.6, 1.29, 1008, source="NVIDIA Ada GPU architecture whitepaper, RTX 4090, FP32 accumulate"
    ),
    "NVIDIA GeForce RTX 5090": _datasheet(
        209.5, 104.8, 1.64, 1792, source="NVIDIA RTX Blackwell GPU architecture whitepaper, RTX 5090, FP32 accumulate"
    ),
    "NVIDIA RTX PRO 6000 Blackwell Workstation Edition": _datasheet(
        503.8, 126, 1.97, 1792, source="NVIDIA RTX PRO Blackwell GPU architecture whitepaper, RTX PRO 6000 Workstation"
    ),
    "NVIDIA RTX PRO 6000 Blackwell Server Edition": _datasheet(
        0, 120, 0, 1597, source="NVIDIA RTX PRO 6000 Blackwell Server Edition datasheet, which gives no rate of 16 bit"
    ),
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
