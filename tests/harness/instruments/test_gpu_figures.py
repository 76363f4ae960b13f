"""Small things that only a GPU would show: what a float32 kernel may reach, what a copy is timed by, who is counted."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from harness.doctor import diagnosis
from harness.instruments import ceilings, counting, cuda
from harness.policy import DEFAULT
from harness.records import TF32, Ceiling
from harness.results import closing
from harness.stats import blocks
from impls import discovery, registry
from reports import published
from tests.harness.results.test_closing import prepared
from tests.support.runs import ok_case
from tests.support.simulated_cuda import Simulated

FLASH = torch.ops.aten._scaled_dot_product_flash_attention


def test_a_copy_shorter_than_its_launch_is_timed_without_it(monkeypatch):
    simulated = Simulated()
    monkeypatch.setattr(cuda, "DRIVER", simulated)
    call = lambda: simulated.launch(4_000, cost=6_000)  # noqa: E731
    samples = ceilings.sample(call, device=torch.device("cuda:0"), seconds=0.0)
    assert samples[-1] == pytest.approx(4e-6, rel=0.05)


@pytest.mark.parametrize(("device", "function"), [("cuda", torch.add), ("cpu", torch.Tensor.copy_)])
def test_a_copy_on_a_gpu_is_a_kernel_and_not_the_drivers(device, function, monkeypatch):
    timed = []
    monkeypatch.setattr(ceilings, "sample", lambda call, **_: timed.append(call) or [1.0] * 10)
    target = SimpleNamespace(device=SimpleNamespace(type=device), nbytes=8, copy_=torch.Tensor.copy_)
    assert ceilings._copy_bandwidth(ceilings.Buffers(None, None, target), seconds=0.0) == 16.0
    assert timed[0].func is function


def ceiling(name, value):
    return Ceiling(name=name, value=value, unit="FLOP/s", how="planted")


def test_float32_on_tensor_cores_is_not_implausible_and_twice_that_is():
    known = [ceiling("matmul float32", 67e12), ceiling(TF32, 495e12)]
    case = ok_case("sdpa-efficient").model_copy(update={"dtype": "float32"})
    counts = prepared().counts.model_copy(update={"operations": 10**12, "counted": None})
    fast = prepared().model_copy(update={"counts": counts})

    def verdict(rate, ceilings):
        return closing._implausible(case, fast, 10**12 / rate, ceilings, DEFAULT)

    assert verdict(160e12, known) == ""
    assert "skipped work?" in verdict(160e12, known[:1])
    assert "skipped work?" in verdict(400e12, known)


@pytest.mark.parametrize(("n_q", "n_k", "pairs"), [(4, 4, 10), (2, 4, 7), (4, 2, 3)])
def test_flash_on_cuda_counts_the_lower_right_triangle(n_q, n_k, pairs):
    query, key = (torch.empty(1, 1, n, 8, device="meta") for n in (n_q, n_k))
    arguments = {"query": query, "key": key, "value": key, "is_causal": True}
    assert counting._fused(arguments, backward=False, aligns_last=True) == 2 * pairs * 16
    assert FLASH in counting.ALIGN_LAST


def test_scores_of_the_math_backend_are_wider_than_16_bit_inputs():
    discovery.discover()
    entry = registry.get("attention", "sdpa-math")
    assert entry.buffers("bfloat16") * 2 == entry.buffers("float32") * 4 == 9.0
    assert registry.get("attention", "batched").buffers("bfloat16") == 2.0


def test_warm_up_of_calls_that_take_microseconds_ends_by_the_clock():
    now = [0.0]

    def call():
        now[0] += 150e-6
        return 8e-6

    seconds = blocks.warm_up(call, policy=DEFAULT.timing, clock=lambda: now[0])
    assert len(seconds) <= DEFAULT.timing.warm_up_seconds / 150e-6 + 2
    assert now[0] >= DEFAULT.timing.warm_up_seconds


def test_a_published_rate_is_compared_only_where_the_device_is_filled_alike():
    item = next(item for item in published.figures() if item.n <= 1024 and item.batch * item.heads >= 64)
    few = {"batch": float("nan"), "heads": 16}
    assert not published.fills_alike(item, few)
    assert published.fills_alike(item, {"batch": item.batch, "heads": item.heads})
    long = next(item for item in published.figures() if item.n >= 8192)
    assert published.fills_alike(long, {"batch": 1, "heads": 16})


def test_the_doctor_says_nothing_of_the_c_librarys_memory_to_a_gpu():
    assert "on the device" in diagnosis._allocation({}, {"device": "cuda"})[1]
    assert "fault in" in diagnosis._allocation({}, {"device": "cpu"})[1]
