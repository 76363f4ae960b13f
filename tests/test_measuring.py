"""Memory, operators and clocks of real calls on the CPU."""

from __future__ import annotations

import pytest
import torch

from harness import directions, kernels, memory, telemetry, timing
from harness.records import Ran
from impls import discovery, registry
from impls.contract import Expected
from impls.subject import Subject

CPU = torch.device("cpu")
POINT = {"n": 256, "heads": 2, "d": 64}


@pytest.fixture(scope="module")
def attention():
    discovery.discover()
    return registry.problem("attention")


def measured(problem, name: str, direction: str = "forward", **changes):
    entry = registry.get("attention", name)
    subject = Subject(problem, entry, problem.parse({**POINT, **changes}), torch.float32, CPU, direction)
    inputs = subject.inputs(seed=0)
    with directions.measured_call(subject, inputs) as ready:
        outputs = directions.returned_bytes(ready.call())
        profile = kernels.profile(ready.call, device=CPU, synchronize=lambda: None)
        used = memory.on_cpu(
            profile.allocations,
            sizes=memory.Sizes(
                inputs=sum(tensor.nbytes for tensor in inputs.tensors), outputs=outputs, saved=ready.saved_bytes
            ),
            resident=memory.Resident(),
        )
        return profile, used


@pytest.mark.parametrize("direction", ["forward", "backward", "forward+backward"])
@pytest.mark.parametrize("name", ["batched", "einsum", "sdpa-math", "sdpa-flash", "online", "loop"])
def test_the_allocator_peak_is_the_same_on_every_repeat(attention, name, direction):
    entry = registry.get("attention", name)
    subject = Subject(attention, entry, attention.parse({**POINT, "n": 64}), torch.float32, CPU, direction)
    with directions.measured_call(subject, subject.inputs(seed=0)) as ready:
        ready.call()
        found = kernels.profile(ready.call, device=CPU, synchronize=lambda: None, calls=5)
    peaks = {memory.peak_of(allocations) for allocations in found.allocations}
    assert len(found.allocations) == 5
    assert len(peaks) == 1
    assert peaks.pop() > 0


def test_a_peak_that_differs_between_calls_is_told_and_the_largest_counts():
    known = {"sizes": memory.Sizes(inputs=0, outputs=4), "resident": memory.Resident()}
    same = memory.on_cpu([[8, -8], [4, 4, -8]], **known)
    assert (same.peak, same.peaks) == (8, [8, 8])
    assert "peak" not in same.reasons
    grown = memory.on_cpu([[8, -8], [9000, -9000]], **known)
    assert (grown.peak, grown.peaks, grown.workspace) == (9000, [8, 9000], 8996)
    assert grown.reasons["peak"] == "differs between calls: 8, 9,000 bytes"


@pytest.mark.gpu
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_allocator_peak_is_the_same_on_every_repeat_on_a_gpu(attention, direction):
    device = torch.device("cuda")
    entry = registry.get("attention", "sdpa-auto")
    subject = Subject(attention, entry, attention.parse(POINT), torch.bfloat16, device, direction)
    sizes = memory.Sizes(inputs=0, outputs=0)
    with directions.measured_call(subject, subject.inputs(seed=0)) as ready:
        ready.call()
        used = memory.on_cuda(ready.call, device=device, driver=lambda: 0, outside_from=2**40, sizes=sizes)
    assert len(set(used.peaks)) == 1
    assert "peak" not in used.reasons


def test_materialised_scores_are_two_buffers_of_n_squared(attention):
    _, used = measured(attention, "einsum", n=512)
    scores = 2 * 512 * 512 * 4
    assert used.extra == pytest.approx(2 * scores, rel=0.02)
    assert used.outputs == 2 * 512 * 64 * 4


def test_online_softmax_needs_memory_linear_in_n(attention):
    small, large = (measured(attention, "online", n=n)[1].extra for n in (1024, 2048))
    assert large / small == pytest.approx(2.0, rel=0.1)


def test_backward_keeps_the_weights(attention):
    _, used = measured(attention, "einsum", "backward")
    assert used.saved >= 2 * 256 * 256 * 4
    assert measured(attention, "einsum")[1].saved is None


def test_the_backend_that_ran_is_named(attention):
    assert measured(attention, "sdpa-flash")[0].ran.backend == "flash"
    assert measured(attention, "sdpa-math")[0].ran.backend == "math"
    assert measured(attention, "batched")[0].ran.backend is None


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


@pytest.mark.parametrize("direction", ["backward", "forward+backward"])
def test_gradients_do_not_accumulate_between_calls(attention, direction):
    entry = registry.get("attention", "einsum")
    subject = Subject(attention, entry, attention.parse({"n": 8, "d": 4}), torch.float32, CPU, direction)
    with directions.measured_call(subject, inputs := subject.inputs(seed=0)) as ready:
        first, second = ready.call(), ready.call()
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(tensor.grad is None for tensor in inputs.differentiable)


def test_forward_records_no_graph(attention):
    entry = registry.get("attention", "einsum")
    subject = Subject(attention, entry, attention.parse({"n": 8, "d": 4}), torch.float32, CPU, "forward")
    with directions.measured_call(subject, subject.inputs(seed=0)) as ready:
        assert not ready.call().requires_grad


def test_the_clock_counts_every_call_of_a_block():
    calls = []
    block = timing.HostClock().block(lambda: calls.append(1), 37)
    assert len(calls) == 37
    assert block.seconds > 0.0


@pytest.mark.parametrize(("seconds", "made"), [(1e-5, 1000), (0.05, 16), (2.0, 1)])
def test_a_block_of_calls_that_became_slow_ends_and_counts_those_it_made(monkeypatch, seconds, made):
    now = 0
    monkeypatch.setattr(timing, "_perf_counter_ns", lambda: now)

    def call():
        nonlocal now
        now += round(seconds * 1e9)

    block = timing.HostClock().block(call, 1000)
    assert block.calls == made
    assert block.seconds == pytest.approx(seconds)
    assert now <= max(3 * timing.PATIENCE, seconds) * 1e9


def test_timers_replaced_by_an_implementation_do_not_reach_the_clock(monkeypatch):
    import time

    monkeypatch.setattr(time, "perf_counter_ns", lambda: 0)
    assert timing.HostClock().block(lambda: sum(range(1000)), 5).seconds > 0.0


def test_a_cap_makes_a_large_allocation_fail_and_not_the_process():
    import subprocess
    import sys

    code = (
        "import torch\nfrom harness import memory\n"
        "assert memory.cap_process(2**28)\n"
        "torch.ones(2**20)\n"
        "try: torch.ones(2**28)\n"
        "except RuntimeError as error: print('refused', 'memory' in str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "refused True", done.stderr


def test_the_resident_peak_sees_what_a_call_takes():
    with memory.resident_peak() as found:
        torch.ones(2**24)
    if found.peak is None:
        assert "rss_peak" in found.reasons
    else:
        assert found.peak == pytest.approx(2**26, rel=0.1)


@pytest.mark.gpu
def test_the_event_clock_times_a_copy_at_a_plausible_rate():
    device = torch.device("cuda")
    source = torch.zeros(2**28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    for cold in (False, True):
        clock = timing.clock_for(device, cold=cold)
        clock.block(lambda: target.copy_(source), 3)
        seconds = clock.block(lambda: target.copy_(source), 10).seconds
        assert 1e10 < 2 * source.nbytes / seconds < 1e13


class FakeCuda:
    """The counters of torch.cuda around one call that takes bytes from the pool and past it."""

    def __init__(self, *, allocates, reserves, outside):
        self.allocates, self.reserves, self.outside = allocates, reserves, outside
        self.allocated, self.reserved, self.driver = 100, 2 * 2**20, 500 * 2**20
        self.peak, self.calls = self.allocated, 0

    def call(self):
        # Only the call that is measured last takes memory, so that the figures are of one call.
        self.calls += 1
        if self.calls == memory.REPEATS:
            self.peak = self.allocated + self.allocates
            self.reserved += self.reserves
            self.driver += self.reserves + self.outside

    def install(self, monkeypatch):
        for name, value in {
            "synchronize": lambda _device: None,
            "empty_cache": lambda: None,
            "reset_peak_memory_stats": lambda _device: None,
            "memory_allocated": lambda _device: self.allocated,
            "max_memory_allocated": lambda _device: self.peak,
            "memory_reserved": lambda _device: self.reserved,
            "max_memory_reserved": lambda _device: self.reserved,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)

    def measure(self, *, driver=None):
        return memory.on_cuda(
            self.call,
            device=torch.device("cpu"),
            sizes=memory.Sizes(inputs=1, outputs=8),
            driver=driver or (lambda: self.driver),
            outside_from=64 * 2**20,
        )


def test_allocator_pool_and_driver_are_three_figures(monkeypatch):
    fake = FakeCuda(allocates=2**20, reserves=20 * 2**20, outside=4 * 2**20)
    fake.install(monkeypatch)
    used = fake.measure()
    assert (used.peak, used.reserved, used.device_process) == (2**20, 22 * 2**20, 524 * 2**20)
    assert used.peaks == [0, 2**20]
    assert set(used.reasons) == {"rss_peak", "peak"}


def test_memory_that_torch_did_not_give_is_told(monkeypatch):
    fake = FakeCuda(allocates=2**20, reserves=20 * 2**20, outside=65 * 2**20)
    fake.install(monkeypatch)
    assert "68,157,440 bytes that torch's allocator did not give it" in fake.measure().reasons["outside_allocator"]


def test_a_driver_that_does_not_count_leaves_its_reason(monkeypatch):
    fake = FakeCuda(allocates=2**20, reserves=0, outside=2**30)
    fake.install(monkeypatch)

    def refuse():
        raise telemetry.ReadingError("a container hides ids")

    used = fake.measure(driver=refuse)
    assert used.device_process is None
    assert used.reasons["device_process"] == "a container hides ids"
    assert "outside_allocator" not in used.reasons


def test_a_driver_that_counts_only_after_the_call_says_nothing_of_the_call(monkeypatch):
    fake = FakeCuda(allocates=2**20, reserves=0, outside=2**30)
    fake.install(monkeypatch)
    answers = iter([0, 0, telemetry.ReadingError("NVML lists no process on the device"), 7])

    def driver():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    used = fake.measure(driver=driver)
    assert used.device_process == 7
    assert used.reasons["outside_allocator"] == "unknown: NVML lists no process on the device"


def test_of_several_profiled_calls_the_first_names_the_operators(attention):
    entry = registry.get("attention", "einsum")
    subject = Subject(attention, entry, attention.parse(POINT), torch.float32, CPU, "forward")
    with directions.measured_call(subject, subject.inputs(seed=0)) as ready:
        ready.call()
        one, three = (
            kernels.profile(ready.call, device=CPU, synchronize=lambda: None, calls=calls) for calls in (1, 3)
        )
    assert one.ran.operators == three.ran.operators
    assert kernels.NEXT_CALL not in three.ran.operators
    assert one.allocations * 3 == three.allocations
