"""The simulated device behaves as CUDA documents it: what is tested on it would show on a GPU."""

from __future__ import annotations

import pytest

from tests.support.simulated_cuda import CudaError, OutOfMemoryError, Simulated

US = 1_000
MIB = 2**20


def timed(cuda, *durations, stream=None):
    first, last = cuda.event(), cuda.event()
    first.record(stream)
    for duration in durations:
        cuda.launch(duration)
    last.record(stream)
    return first, last


def test_a_launch_returns_before_its_kernel_is_done():
    cuda = Simulated(launch_ns=4 * US)
    cuda.launch(100 * US)
    assert cuda.host == 4 * US
    cuda.synchronize()
    assert cuda.host == 104 * US


def test_events_keep_device_time_and_need_waiting_for():
    cuda = Simulated()
    cuda.sleep(1e-3)
    first, last = timed(cuda, 5 * US, 5 * US)
    assert not last.query()
    with pytest.raises(RuntimeError, match="not ready"):
        first.elapsed_time(last)
    cuda.synchronize()
    assert last.query()
    assert first.elapsed_time(last) == pytest.approx(0.010)


def test_events_of_short_kernels_hold_launch_latency_where_nothing_is_queued_before():
    cuda = Simulated(launch_ns=12 * US)
    first, last = timed(cuda, 5 * US, 5 * US)
    cuda.synchronize()
    assert first.elapsed_time(last) * 1e3 > 20


def test_a_full_queue_blocks_the_host_until_there_is_room():
    cuda = Simulated(depth=4, launch_ns=US)
    cuda.sleep(1e-3)
    for _ in range(3):
        cuda.launch(US)
    assert cuda.blocked_ns == 0
    cuda.launch(US)
    assert cuda.blocked_ns > 900 * US
    assert cuda.host > 1e6


def test_a_launch_may_be_made_to_wait_for_its_kernel():
    cuda = Simulated(blocking=True)
    cuda.launch(100 * US)
    assert cuda.host >= 100 * US


def test_work_goes_to_the_current_device():
    cuda = Simulated(devices=2)
    with cuda.current(1):
        cuda.launch(100 * US)
    assert cuda.current_stream(0).free == 0
    assert cuda.current_stream(1).free > 100 * US
    cuda.synchronize(0)
    assert cuda.host < 100 * US


def test_events_of_two_devices_have_no_time_between_them():
    cuda = Simulated(devices=2)
    first, last = cuda.event(), cuda.event()
    first.record()
    with cuda.current(1):
        last.record()
    cuda.synchronize(0)
    cuda.synchronize(1)
    with pytest.raises(CudaError, match="invalid resource handle"):
        first.elapsed_time(last)
    with pytest.raises(RuntimeError, match="does not match"):
        first.record(cuda.current_stream(1))


def test_streams_run_side_by_side_unless_one_waits():
    cuda = Simulated()
    side = cuda.stream()
    cuda.launch(100 * US)
    with cuda.on(side):
        cuda.launch(10 * US)
    assert side.free < 100 * US
    side.wait_stream(cuda.current_stream())
    with cuda.on(side):
        cuda.launch(10 * US)
    assert side.free > 110 * US


def test_a_graph_replays_its_kernels_for_the_price_of_one_launch():
    cuda = Simulated(launch_ns=4 * US)
    side = cuda.stream()
    with cuda.capture(side) as graph:
        for _ in range(8):
            cuda.launch(5 * US)
    assert cuda.current_stream() is not side
    busy = cuda.current_stream().free
    assert busy == 0
    before = cuda.host
    graph.replay()
    assert cuda.host - before == 4 * US
    cuda.synchronize()
    assert cuda.host - before == 44 * US


def test_a_capture_refuses_the_default_stream_and_synchronisation_within():
    cuda = Simulated()
    with pytest.raises(CudaError, match="default stream"), cuda.capture(cuda.current_stream()):
        pass
    side = cuda.stream()
    with pytest.raises(CudaError) as raised, cuda.capture(side) as graph:
        cuda.synchronize()
    assert "not permitted when stream is capturing" in str(raised.value.__context__)
    with pytest.raises(RuntimeError, match="never captured"):
        graph.replay()
    # As torch does: the stream of the failed capture stays the current one.
    assert cuda.current_stream() is side


def test_a_capture_can_be_made_to_fail():
    cuda = Simulated()
    cuda.capture_fails = "out of memory"
    with pytest.raises(CudaError), cuda.capture(cuda.stream()):
        raise AssertionError("not reached")


def test_a_kernels_fault_surfaces_where_the_host_looks_and_stays():
    cuda = Simulated()
    cuda.launch(50 * US, fault="an illegal memory access was encountered")
    cuda.launch(5 * US)
    with pytest.raises(CudaError, match="illegal memory access"):
        cuda.synchronize()
    for again in (cuda.probe, cuda.synchronize, lambda: cuda.launch(1)):
        with pytest.raises(CudaError, match="illegal memory access"):
            again()


def test_a_lost_context_answers_nothing():
    cuda = Simulated()
    cuda.probe()
    cuda.lose()
    with pytest.raises(CudaError, match="unspecified launch failure"):
        cuda.probe()


def test_the_pool_grows_by_segments_and_gives_back_only_when_asked():
    cuda = Simulated()
    cuda.allocate(30 * MIB)
    held = cuda.bytes_of()
    assert (held.allocated, held.reserved) == (30 * MIB, 40 * MIB)
    cuda.release(30 * MIB)
    assert (held.allocated, held.reserved, held.peak_allocated) == (0, 40 * MIB, 30 * MIB)
    cuda.empty_cache()
    cuda.reset_peaks()
    assert (held.reserved, held.peak_reserved) == (0, 0)


def test_more_than_there_is_can_not_be_allocated():
    cuda = Simulated()
    with pytest.raises(OutOfMemoryError, match="out of memory"):
        cuda.allocate(81 * 2**30)


def test_the_driver_counts_what_was_taken_past_the_pool():
    cuda = Simulated()
    before = cuda.process_bytes()
    cuda.allocate(20 * MIB)
    cuda.bytes_of().outside += 64 * MIB
    assert cuda.process_bytes() - before == 84 * MIB


def test_an_unknown_device_is_refused():
    with pytest.raises(CudaError, match="invalid device ordinal"):
        Simulated(devices=1).synchronize("cuda:1")
