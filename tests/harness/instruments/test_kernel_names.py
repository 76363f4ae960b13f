"""What ran: names from public traces satisfy the implementation that they are of, and no other."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from harness.instruments import kernels
from harness.instruments.kernels import Event
from harness.records import Ran
from impls import discovery
from impls.contract import Expected

RECORDED = Path(__file__).parents[2] / "data" / "recorded_kernels.csv"
ROWS = list(csv.DictReader(RECORDED.read_text(encoding="utf-8").splitlines()))
BY_NAME = {f"{row['problem']} {row['implementation']}": row for row in ROWS}
FUSED = ("flash", "efficient", "cudnn", "flex", "math")


def ran(row) -> Ran:
    counts = {kind: dict.fromkeys(row[kind].split("|"), 1) for kind in ("operators", "kernels")}
    return Ran(**counts, backend=None)


def limits(problem, name):
    """Return an implementation's limits on CUDA; flex is absent where no compiler is."""
    entry = discovery.discover().entries.get((problem, name))
    return None if entry is None else entry.limits_on("cuda")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['implementation']}-{row['architecture']}")
def test_a_recorded_call_is_what_its_implementation_expects(row):
    at = limits(row["problem"], row["implementation"])
    if at is not None:
        assert kernels.is_fallback(ran(row), at.expects) == ""


@pytest.mark.parametrize("name", ["sdpa-flash", "sdpa-efficient", "sdpa-cudnn", "flex", "sdpa-math"])
def test_a_pinned_backend_is_not_satisfied_by_any_other(name):
    at = limits("attention", name)
    mine = BY_NAME[f"attention {name}"]["backend"]
    others = [row for row in ROWS if row["backend"] in {*FUSED, "products"} - {mine} and row["problem"] == "attention"]
    assert len({row["backend"] for row in others}) == 5
    if at is not None:
        accepted = [row["kernels"] for row in others if not kernels.is_fallback(ran(row), at.expects)]
        assert accepted == []


def test_products_are_not_satisfied_by_a_fused_kernel():
    fused = [row for row in ROWS if row["backend"] in {"flash", "efficient", "cudnn", "flex"}]
    for name in ("batched", "einsum", "online"):
        at = limits("attention", name)
        assert all(kernels.is_fallback(ran(row), at.expects) for row in fused)


def test_every_implementation_with_expectations_on_cuda_has_recorded_rows_unless_it_never_ran():
    entries = discovery.discover().entries
    bare = {
        f"{problem} {name}"
        for (problem, name), entry in entries.items()
        if (at := entry.limits_on("cuda")) and at.expects != Expected() and not name.startswith("mha/")
        if not at.untried and not entry.chosen
    }
    assert bare <= set(BY_NAME)
    assert len(bare) >= 10


def test_the_backend_that_sdpa_chose_is_read_from_a_recorded_call():
    for row in ROWS:
        if row["backend"] in {"flash", "efficient", "cudnn", "math"} and row["direction"] == "forward":
            assert kernels.backend_of([*ran(row).kernels, *ran(row).operators]) == row["backend"]


def test_a_fused_operator_that_ran_another_kernel_is_a_fallback():
    seen = Ran(operators={"aten::_flash_attention_forward": 1}, kernels={"fmha_cutlassF_bf16_aligned": 1})
    expects = limits("attention", "sdpa-flash").expects
    assert kernels.is_fallback(seen, expects).startswith("asked for flash_fwd or flash_bwd or flashattn, ran fmha")
    # Without kernels the operator is all there is to go by.
    assert kernels.is_fallback(seen.model_copy(update={"kernels": {}}), expects) == ""


def session(*, lost=0, activity=str):
    """Return the events of three calls of one kernel each, the records of the first `lost` missing."""
    events = []
    for number in range(3):
        at = number * 1000
        if number:
            events.append(Event(kernels.NEXT_CALL, "user_annotation", at))
            events.append(Event(kernels.NEXT_CALL, "gpu_user_annotation", at + 5, 900))
        events += [
            Event("aten::bmm", "cpu_op", at + 10, 40),
            Event("cudaLaunchKernel", "cuda_runtime", at + 20, 5),
            Event("Torch-Compiled Region: 0/0", "gpu_user_annotation", at + 100, 500),
            Event("Memset (Device)", "gpu_memset", at + 110, 7),
        ]
        if number >= lost:
            events.append(Event("nvjet_tst_128x64", "kernel", at + 120, 300))
    return events


def test_kernels_are_those_of_the_last_call_and_annotations_are_none():
    found = kernels.read(session(), calls=3).ran
    assert found.operators == {"aten::bmm": 1}
    assert found.kernels == {"nvjet_tst_128x64": 1}
    assert found.kernel_seconds == pytest.approx(300e-9)
    assert found.copy_seconds == pytest.approx(7e-9)
    assert found.launches == 1
    assert found.reasons == {}


def test_records_lost_at_the_start_of_a_session_do_no_harm():
    assert kernels.read(session(lost=2), calls=3).ran == kernels.read(session(), calls=3).ran


def test_lost_kernels_are_counted_and_have_no_time():
    found = kernels.read(session(lost=3), calls=3).ran
    assert found.kernels == {}
    assert found.kernel_seconds is None
    assert found.reasons == {"kernel_seconds": "the profiler lost 1 of 1 kernels"}


def test_launches_of_the_driver_count_too():
    events = [Event("cuLaunchKernelEx", "cuda_driver", 1), Event("triton_tem_fused", "kernel", 2, 9)]
    found = kernels.read(events).ran
    assert (found.launches, found.kernel_seconds) == (1, pytest.approx(9e-9))


def test_a_call_that_only_fills_memory_ran_no_kernel():
    found = kernels.read([Event("Memset (Device)", "gpu_memset", 1, 7)]).ran
    assert found.kernels == {}
    assert found.kernel_seconds is None
    assert found.copy_seconds == pytest.approx(7e-9)


class Old:
    """An event of a torch that does not name activities."""

    def __init__(self, name, device):
        self._name, self._device = name, device

    def name(self):
        return self._name

    def device_type(self):
        return self._device

    def start_ns(self):
        return 1

    duration_ns = nbytes = start_ns


@pytest.mark.parametrize(
    ("name", "device", "activity"),
    [
        ("nvjet_tst_128x64", "DeviceType.CUDA", "kernel"),
        ("Torch-Compiled Region: 0/0", "DeviceType.CUDA", "gpu_user_annotation"),
        ("Memcpy DtoD (Device -> Device)", "DeviceType.CUDA", "gpu_memcpy"),
        ("cudaLaunchKernel", "DeviceType.CPU", "cuda_runtime"),
        ("aten::bmm", "DeviceType.CPU", "cpu_op"),
    ],
)
def test_an_older_torch_is_read_by_names(name, device, activity):
    assert kernels.event(Old(name, device)).activity == activity
