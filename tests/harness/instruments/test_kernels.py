"""What ran is named by its operators, and another kernel than the one asked for is told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from harness.instruments import directions, kernels, parts
from harness.records import Ran
from impls import discovery, registry
from impls.contract import Expected
from impls.subject import Subject

CPU = torch.device("cpu")


def profiled(name, *, calls=1):
    discovery.discover()
    problem = registry.problem("attention")
    point = problem.parse({"n": 256, "heads": 2, "d": 64})
    subject = Subject(problem, registry.get("attention", name), point, torch.float32, CPU)
    with directions.measured_call(subject, subject.inputs(seed=0)) as measured:
        measured.call()
        return kernels.profile(measured.call, device=CPU, synchronize=lambda: None, calls=calls)


def test_the_backend_that_ran_is_named():
    assert profiled("sdpa-flash").ran.backend == "flash"
    assert profiled("sdpa-math").ran.backend == "math"
    assert profiled("batched").ran.backend is None


def test_bookkeeping_is_no_work():
    operators = profiled("einsum").ran.operators
    assert kernels.BOOKKEEPING.isdisjoint(operators)
    assert any("bmm" in name for name in operators)


def test_another_kernel_than_asked_for_is_a_fallback():
    ran = Ran(operators={"aten::bmm": 2})
    assert kernels.is_fallback(ran, Expected(("bmm",))) == ""
    assert kernels.is_fallback(ran, Expected()) == ""
    assert kernels.is_fallback(ran, Expected(("flash", "cudnn"))) == "asked for flash or cudnn, ran aten::bmm"


@pytest.mark.parametrize(
    ("names", "backend"),
    [
        (["fmha_cutlassF_bf16_aligned_64x64_rf_sm80(PyTorchMemEffAttention)"], "efficient"),
        (["void pytorch_flash::flash_fwd_kernel<...>"], "flash"),
        (["cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16"], "cudnn"),
        (["aten::_scaled_dot_product_attention_math", "aten::bmm"], "math"),
        (["ampere_bf16_gemm"], None),
    ],
)
def test_kernel_names_betray_the_backend(names, backend):
    assert kernels.backend_of(names) == backend


def test_of_several_profiled_calls_the_first_names_the_operators():
    one, three = profiled("einsum"), profiled("einsum", calls=3)
    assert one.ran.operators == three.ran.operators
    assert kernels.NEXT_CALL not in three.ran.operators
    assert one.allocations * 3 == three.allocations


@pytest.mark.parametrize("name", [kernels.NEXT_CALL, parts.CALL])
def test_a_range_of_ours_on_the_device_is_no_kernel_where_the_profiler_names_no_activity(name):
    older = SimpleNamespace(
        name=lambda: name,
        device_type=lambda: "DeviceType.CUDA",
        start_ns=lambda: 5,
        duration_ns=lambda: 1_856_000,
        nbytes=lambda: 0,
    )
    assert kernels.event(older).activity == kernels.ANNOTATION
