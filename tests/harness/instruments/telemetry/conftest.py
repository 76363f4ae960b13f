"""A simulated GPU, that NVML shows to the tests of telemetry."""

from __future__ import annotations

import pytest

from harness.instruments import cuda
from tests.support import fake_nvml
from tests.support.simulated_cuda import Simulated


@pytest.fixture
def gpu(monkeypatch):
    """Return a function that plugs a GPU in."""

    def plug(**behaviour):
        device = fake_nvml.Device(**behaviour)
        fake_nvml.install(monkeypatch, device)
        monkeypatch.setattr(cuda, "DRIVER", Simulated(devices=2))
        return device

    return plug
