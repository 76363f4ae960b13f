"""Places of a host lie apart: a GPU each by its UUID, or sets of cores."""

from __future__ import annotations

import pytest

from harness.cluster import places as module
from harness.cluster.places import PlaceError, places, visible
from harness.machine.devices import Device

GPUS = (
    Device("cpu"),
    Device("cuda:0", model="NVIDIA H100 80GB HBM3", uuid="aa-1"),
    Device("cuda:1", model="NVIDIA H100 80GB HBM3", uuid="aa-2", reason="it computes 0 + 1 wrong"),
    Device("cuda:2", model="NVIDIA A100-SXM4-80GB", uuid="aa-3"),
)


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(module.processor, "allowed_core_numbers", lambda: list(range(8)))


def test_cores_are_cut_apart(eight_cores):
    assert [place.cores for place in places(device="cpu")] == [()]
    assert [place.cores for place in places(count=2, device="cpu")] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert [place.cores for place in places(count=2, cores_each=1, device="cpu")] == [(0,), (1,)]
    assert [place.cores for place in places(cores_each=4, device="cpu")] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    with pytest.raises(PlaceError, match="9 workers of 1 cores want 9; 8 may be used here"):
        places(count=9, device="cpu")
    with pytest.raises(PlaceError, match="1 workers of 9 cores want 9"):
        places(cores_each=9, device="cpu")


def test_each_gpu_that_works_is_a_place_that_sees_it_alone(eight_cores, monkeypatch):
    monkeypatch.setattr(module.devices, "choose", lambda _wanted: "cuda:0")
    monkeypatch.setattr(module.devices, "present", lambda: GPUS)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = places()
    assert [(place.on, place.device, place.variables["CUDA_VISIBLE_DEVICES"]) for place in found] == [
        ("h100", "cuda:0", "GPU-aa-1"),
        ("a100", "cuda:0", "GPU-aa-3"),
    ]
    assert [place.cores for place in places(cores_each=4)] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert [place.on for place in places(count=1, on="fast")] == ["fast"]
    with pytest.raises(PlaceError, match="3 workers want a GPU each, and 2 work here"):
        places(count=3)


def test_a_gpu_is_named_as_its_owner_named_it():
    part = Device("cuda:0", model="NVIDIA H100 MIG 1g.10gb", uuid="bb")
    assert visible(part, "MIG-bb,MIG-cc") == "MIG-bb"
    assert visible(Device("cuda:1"), "3,5") == "5"
    assert visible(Device("cuda:1"), "") == "1"
