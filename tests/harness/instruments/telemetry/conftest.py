"""A GPU that NVML shows to the tests of telemetry."""

from __future__ import annotations

import pytest

from harness.instruments.telemetry import sensors
from tests.support import fake_nvml


@pytest.fixture
def gpu(monkeypatch):
    """Return a function that plugs a GPU in."""

    def plug(**behaviour):
        device = fake_nvml.Device(**behaviour)
        fake_nvml.install(monkeypatch, device)
        monkeypatch.setattr(sensors, "cuda_uuid", lambda _device: fake_nvml.UUID)
        return device

    return plug
