"""What is asked of the machine: its description, ceilings only where they are asked for, and the canary."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.instruments import ceilings
from harness.protocol import messages
from harness.records import Ceiling
from harness.worker import machine
from tests.support.benches import bench_on

COPY = Ceiling(name="memory copy", value=1e10, unit="B/s", how="given", size=2**20)


@pytest.fixture
def steps():
    return []


@pytest.fixture
def measured(monkeypatch):
    """Measure ceilings in no time; return what was asked for."""
    asked = []

    def measure(device, wanted, *, seconds):
        asked.append((device, wanted, seconds))
        return [COPY]

    monkeypatch.setattr(ceilings, "measure", measure)
    monkeypatch.setattr(ceilings, "remeasure", measure)
    return asked


def test_without_dtypes_the_machine_is_described_and_nothing_measured(steps, measured):
    request = messages.MeasureEnvironment(dtypes=[], seconds=9.0)
    found = machine.measure_environment(bench_on(announce=steps.append), request).environment
    assert found.stable["device"] == "cpu"
    assert (found.ceilings, measured, steps) == ([], [], ["environment"])


def test_ceilings_of_the_runs_dtypes_are_measured_for_as_long_as_was_asked(steps, measured):
    bench = bench_on(announce=steps.append)
    request = messages.MeasureEnvironment(dtypes=["float32"], seconds=0.5)
    found = machine.measure_environment(bench, request).environment
    assert found.ceilings == [COPY]
    assert measured == [("cpu", ["float32"], 0.5)]
    assert steps == ["environment", "ceilings"]
    bare = machine.measure_environment(bench, messages.MeasureEnvironment(dtypes=[], seconds=0.0)).environment
    assert found.id == bare.id, "ceilings are no part of what identifies a machine"


@pytest.mark.parametrize("others", [None, 0, 2])
def test_known_ceilings_are_measured_again_and_others_on_a_gpu_are_counted(measured, others):
    watch = None if others is None else SimpleNamespace(others=lambda: others)
    request = messages.MeasureCeilings(known=[COPY], seconds=0.2)
    found = machine.measure_ceilings(bench_on(watch=watch), request)
    assert (found.ceilings, found.others) == ([COPY], others)
    assert measured == [("cpu", [COPY], 0.2)]


def test_the_canary_is_read_a_few_times_in_order_and_a_gpu_has_none(steps):
    readings = iter([3e-4, 1e-4, 2e-4, 9e-4])
    bench = bench_on(announce=steps.append, canary=SimpleNamespace(seconds=lambda: next(readings)))
    assert machine.read_canary(bench, messages.ReadCanary()).seconds == [3e-4, 1e-4, 2e-4]
    assert steps == ["canary"]
    assert machine.read_canary(bench_on(), messages.ReadCanary()).seconds == []
