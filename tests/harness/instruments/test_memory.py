"""The memory of real calls on the CPU, and of a simulated device's."""

from __future__ import annotations

import pytest
import torch

from harness.instruments import cuda, directions, kernels, memory
from harness.instruments.telemetry import sensors
from impls import discovery, registry
from impls.subject import Subject
from tests.support.simulated_cuda import CudaError, OutOfMemoryError, Simulated

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
    subject = Subject(attention, entry, attention.parse({**POINT, "n": 16}), torch.float32, CPU, direction)
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


MIB = 2**20
GPU = torch.device("cuda:0")
# What the process holds on the simulated device before a call.
RESIDENT = 100


class Held:
    """What a call returns: bytes of the simulated pool for as long as somebody holds it."""

    def __init__(self, simulated, size):
        self.simulated, self.size = simulated, size
        simulated.allocate(size, GPU)

    def __del__(self):
        self.simulated.release(self.size, GPU)


@pytest.fixture
def simulated(monkeypatch):
    made = Simulated()
    made.allocate(RESIDENT, GPU)
    monkeypatch.setattr(cuda, "DRIVER", made)
    return made


def calling(simulated, *, takes, keeps=0, outside=0, last_only=False):
    """Return a call with a workspace of the pool, an output, and memory that it takes from the driver for good."""
    calls = []

    def call():
        calls.append(1)
        if last_only and len(calls) < memory.REPEATS:
            return None
        simulated.launch(1_000)
        workspace = Held(simulated, takes)
        output = Held(simulated, keeps) if keeps else None
        if len(calls) == memory.REPEATS:
            simulated.memory[0].outside += outside
        del workspace
        return output

    return call


def on_gpu(simulated, call, *, driver=None):
    return memory.on_cuda(
        call,
        device=GPU,
        sizes=memory.Sizes(inputs=1, outputs=8),
        driver=driver or (lambda: simulated.process_bytes(GPU)),
        outside_from=64 * MIB,
    )


def test_allocator_pool_and_driver_are_three_figures(simulated):
    used = on_gpu(simulated, calling(simulated, takes=30 * MIB, keeps=MIB, outside=4 * MIB))
    # The pool grows by segments of 20 MiB, the driver counts the context of 500 MiB and what was taken past the pool.
    assert (used.peak, used.reserved, used.device_process) == (31 * MIB, 40 * MIB, 544 * MIB)
    assert used.peaks == [31 * MIB, 31 * MIB]
    assert used.workspace == 31 * MIB - 8
    assert set(used.reasons) == {"rss_peak"}


def test_what_the_process_holds_anyway_is_no_part_of_a_call(simulated):
    before = on_gpu(simulated, calling(simulated, takes=MIB)).peak
    simulated.allocate(300 * MIB, GPU)
    assert on_gpu(simulated, calling(simulated, takes=MIB)).peak == before == MIB


def test_a_call_that_takes_more_another_time_is_told(simulated):
    used = on_gpu(simulated, calling(simulated, takes=MIB, last_only=True))
    assert used.peaks == [0, MIB]
    assert used.reasons["peak"] == "differs between calls: 0, 1,048,576 bytes"


def test_memory_that_torch_did_not_give_is_told(simulated):
    used = on_gpu(simulated, calling(simulated, takes=20 * MIB, outside=65 * MIB))
    assert "68,157,440 bytes that torch's allocator did not give it" in used.reasons["outside_allocator"]


def test_a_driver_that_does_not_count_leaves_its_reason(simulated):
    def refuse():
        raise sensors.ReadingError("a container hides ids")

    used = on_gpu(simulated, calling(simulated, takes=MIB, outside=2**30), driver=refuse)
    assert used.device_process is None
    assert used.reasons["device_process"] == "a container hides ids"
    assert used.reasons["outside_allocator"].startswith("the call took 1,073,741,824 bytes")
    assert used.reasons["outside_allocator"].endswith("counted on the whole device, other processes included")


def test_a_driver_that_counts_only_after_the_call_leaves_the_whole_devices_count(simulated):
    answers = iter([0, 0, sensors.ReadingError("NVML lists no process on the device"), 7])

    def driver():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    used = on_gpu(simulated, calling(simulated, takes=MIB, outside=2**30), driver=driver)
    assert used.device_process == 7
    assert "counted on the whole device" in used.reasons["outside_allocator"]


def test_a_call_that_needs_more_than_there_is_raises_what_torch_would(simulated):
    with pytest.raises(OutOfMemoryError, match="out of memory"):
        on_gpu(simulated, calling(simulated, takes=simulated.memory[0].total))
    assert memory.free_bytes(GPU) == simulated.memory[0].free


def test_a_fault_of_a_call_rises_where_its_memory_is_measured(simulated):
    with pytest.raises(CudaError, match="illegal memory access"):
        on_gpu(simulated, lambda: simulated.launch(1_000, fault="an illegal memory access was encountered"))
