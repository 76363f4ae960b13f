"""The driver's calls are those of torch, bound before an implementation could replace them; seconds become cycles."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from harness.instruments import cuda
from harness.instruments.cuda import Driver, TorchDriver
from tests.support.simulated_cuda import Simulated

CALLS = {name for name, value in vars(Driver).items() if inspect.isfunction(value) and not name.startswith("_")}


class Recorded(TorchDriver):
    """torch's driver on a machine without a GPU: what it asks torch for is written down."""

    def __init__(self, *, clock_rate=None):
        self.asked, self.now_current = [], None
        self.properties = lambda _device: SimpleNamespace(**({"clock_rate": clock_rate} if clock_rate else {}))
        self._sleep = lambda cycles: self.asked.append(("sleep", cycles, self.now_current))
        self._synchronize = lambda device: self.asked.append(("synchronize", device))
        self._event = lambda **options: self.asked.append(("event", options)) or "event"

    @contextmanager
    def current(self, device):
        self.now_current = device
        yield
        self.now_current = None


@pytest.mark.parametrize("driver", [TorchDriver(), Simulated()], ids=["torch", "simulated"])
def test_a_driver_has_every_call_that_instruments_make(driver):
    for name in CALLS:
        assert callable(getattr(driver, name)), name


def test_the_driver_in_use_is_torchs_and_its_clock_that_of_the_process():
    assert isinstance(cuda.DRIVER, TorchDriver)
    assert cuda.DRIVER.clock_ns() <= cuda.DRIVER.clock_ns()
    assert isinstance(cuda.DRIVER.clock_ns(), int)


@pytest.mark.parametrize(
    ("clock_rate", "cycles"), [(1_980_000, 19_800_000), (None, 15_000_000)], ids=["told", "assumed"]
)
def test_a_sleep_is_in_cycles_of_the_devices_clock_on_that_device(clock_rate, cycles):
    driver = Recorded(clock_rate=clock_rate)
    driver.sleep(0.01, "cuda:1")
    assert driver.asked == [("sleep", cycles, "cuda:1")]
    assert driver.now_current is None


def test_an_event_keeps_its_time_and_waiting_is_for_the_device_that_was_named():
    driver = Recorded()
    assert driver.event() == "event"
    driver.synchronize("cuda:1")
    assert driver.asked == [("event", {"enable_timing": True}), ("synchronize", "cuda:1")]


def test_what_an_implementation_replaces_in_torch_does_not_reach_the_driver(monkeypatch):
    called = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: called.append("synchronize"))
    monkeypatch.setattr(torch.cuda, "Event", lambda **_: called.append("event"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda *_: called.append("stream"))
    for ask in (lambda: cuda.DRIVER.synchronize("cuda:0"), cuda.DRIVER.event, cuda.DRIVER.current_stream):
        try:
            ask()
        # A machine without a GPU has no driver to ask; whatever it says, nobody else was asked.
        except (RuntimeError, AssertionError):
            continue
    assert called == []


def test_a_device_that_computes_is_probed_in_silence_and_one_that_does_not_is_told(monkeypatch):
    driver = Recorded()
    driver.probe("cpu")
    assert driver.asked == [("synchronize", "cpu")], "what went wrong before is told by waiting"
    monkeypatch.setattr(torch.Tensor, "add_", lambda tensor, _: tensor)
    with pytest.raises(RuntimeError, match="one plus nothing is not one on this device"):
        driver.probe("cpu")


def test_an_error_of_what_ran_before_rises_from_the_probe():
    driver = Recorded()

    def lost(_device):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    driver._synchronize = lost
    with pytest.raises(RuntimeError, match="illegal memory access"):
        driver.probe("cpu")


def test_unused_memory_of_the_device_that_was_named_is_given_back(monkeypatch):
    driver = Recorded()
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: driver.asked.append(driver.now_current))
    driver.empty_cache("cuda:1")
    assert driver.asked == ["cuda:1"]


def test_a_capture_gives_its_graph_and_ends_with_its_error(monkeypatch):
    seen = []

    class Context:
        def __init__(self, graph, *, stream):
            seen.append((graph, stream))

        def __enter__(self):
            seen.append("begun")

        def __exit__(self, kind, *_):
            seen.append(kind)

    graph = object()
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: graph)
    monkeypatch.setattr(torch.cuda, "graph", Context)
    driver = TorchDriver()
    with driver.capture("a stream") as found:
        assert found is graph

    def spoilt():
        with driver.capture("a stream"):
            raise RuntimeError("not permitted when stream is capturing")

    with pytest.raises(RuntimeError, match="not permitted"):
        spoilt()
    assert seen == [(graph, "a stream"), "begun", None, (graph, "a stream"), "begun", RuntimeError]


@pytest.mark.gpu
def test_a_real_gpu_sleeps_for_about_as_long_as_it_is_told():
    driver, device = TorchDriver(), "cuda:0"
    before, after = driver.event(), driver.event()
    with driver.current(device):
        driver.synchronize(device)
        before.record()
        driver.sleep(0.02, device)
        after.record()
        driver.synchronize(device)
    assert after.query()
    # The clock that torch tells is the highest, and a cool device may run below it.
    assert 0.3 < before.elapsed_time(after) / 20.0 < 3.0
    driver.probe(device)
