"""The memory of real calls on the CPU, and of a fake allocator in place of CUDA's."""

from __future__ import annotations

import pytest
import torch

from harness.instruments import directions, kernels, memory
from harness.instruments.telemetry import sensors
from impls import discovery, registry
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


def test_a_cap_makes_a_large_allocation_fail_and_not_the_process():
    import subprocess
    import sys

    code = (
        "import torch\nfrom harness.instruments import memory\n"
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
            "mem_get_info": lambda _device: (80 * 2**30 - self.driver, 80 * 2**30),
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
        raise sensors.ReadingError("a container hides ids")

    used = fake.measure(driver=refuse)
    assert used.device_process is None
    assert used.reasons["device_process"] == "a container hides ids"
    assert used.reasons["outside_allocator"].startswith("the call took 1,073,741,824 bytes")
    assert used.reasons["outside_allocator"].endswith("counted on the whole device, other processes included")


def test_a_driver_that_counts_only_after_the_call_leaves_the_whole_devices_count(monkeypatch):
    fake = FakeCuda(allocates=2**20, reserves=0, outside=2**30)
    fake.install(monkeypatch)
    answers = iter([0, 0, sensors.ReadingError("NVML lists no process on the device"), 7])

    def driver():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    used = fake.measure(driver=driver)
    assert used.device_process == 7
    assert "counted on the whole device" in used.reasons["outside_allocator"]
