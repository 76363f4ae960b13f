"""A call's parts add up to the call: each operator without those inside it, each kernel without what ran beside it."""

from __future__ import annotations

import gzip
import json

import pytest
import torch

from harness.instruments import parts
from harness.instruments.parts import BETWEEN, CALL, MEMORY, OUTSIDE, Span


def span(name, start, end, *, activity="cpu_op", **more):
    return Span(name, activity, start, end, **more)


def found(spans, *, on_device=False):
    taken = parts.parts(spans, on_device=on_device)
    assert sum(part.share for part in taken.parts) == pytest.approx(1.0)
    assert sum(part.seconds for part in taken.parts) == pytest.approx(taken.seconds)
    return taken, {part.name: (part.count, round(part.seconds * 1e9)) for part in taken.parts}


def test_an_operator_counts_without_those_that_it_calls():
    spans = [
        span(CALL, 0, 100),
        span("aten::matmul", 10, 60),
        span("aten::bmm", 20, 50),
        span("aten::softmax", 60, 90),
        span("aten::bmm", 65, 75),
        span("aten::elsewhere", 10, 60, thread=7),
        span("aten::later", 200, 300),
    ]
    _, own = found(spans)
    assert own == {"aten::bmm": (2, 40), "aten::matmul": (1, 20), "aten::softmax": (1, 20), OUTSIDE: (1, 20)}


def test_the_call_of_median_length_is_told():
    calls = [(0, 1000), (2000, 2100), (3000, 3010)]
    taken, own = found(
        [made for start, end in calls for made in (span(CALL, start, end), span("aten::mm", start, end))]
    )
    assert (taken.seconds, own["aten::mm"]) == (pytest.approx(1e-7), (1, 100))


def test_kernels_count_alone_and_what_is_between_them_is_a_part():
    device = {"activity": "kernel", "on_device": True}
    spans = [
        span(CALL, 0, 1000),
        span(CALL, 0, 900, activity="gpu_user_annotation", on_device=True),
        span("aten::mm", 0, 5),
        span("gemm", 100, 200, **device),
        span("beside", 150, 240, **device),
        span("softmax", 300, 400, **device),
        span("Memset", 400, 420, activity="gpu_memset", on_device=True),
    ]
    taken, own = found(spans, on_device=True)
    assert own == {"gemm": (1, 100), "beside": (1, 40), "softmax": (1, 100), "Memset": (1, 20), BETWEEN: (1, 60)}
    assert {part.kind for part in taken.parts} == {"kernel", "copy", "outside"}
    assert taken.launches == 3


def test_without_a_call_or_a_kernel_there_are_no_parts():
    with pytest.raises(ValueError, match="recorded no call"):
        parts.parts([span("aten::mm", 0, 5)], on_device=False)
    with pytest.raises(ValueError, match="no kernel"):
        parts.parts([span(CALL, 0, 9), span("aten::mm", 0, 5)], on_device=True)


def test_what_is_held_follows_the_last_call_to_its_end():
    spans = [
        span(CALL, 0, 10),
        span(MEMORY, 5, 5, size=9),
        span(CALL, 100, 200),
        span(MEMORY, 110, 110, size=64),
        span(MEMORY, 120, 120, size=32),
        span(MEMORY, 130, 130, size=-64),
        span(MEMORY, 300, 300, size=-32),
        span(MEMORY, 125, 125, size=7, on_device=True),
    ]
    held, allocated = parts.held(spans, on_device=False)
    assert [point.bytes for point in held] == [0, 64, 96, 32]
    assert [round(point.seconds * 1e9) for point in held] == [0, 10, 20, 30]
    assert allocated == 96
    assert parts.held([], on_device=False) == ([], 0)


def test_of_many_allocations_the_peaks_and_the_end_are_kept():
    many = [span(MEMORY, at, at, size=1 if at < 4000 else -1) for at in range(6000)]
    held, allocated = parts.held([span(CALL, 0, 6000), *many], on_device=False)
    assert len(held) <= parts.SLICES + 1
    assert max(point.bytes for point in held) == 4000
    assert (held[-1].bytes, allocated) == (2000, 4000)


def test_a_real_call_is_taken_apart_and_its_trace_is_one_that_viewers_read(tmp_path):
    a, b = torch.randn(2, 64, 64), torch.randn(2, 64, 64)
    spans = parts.take(
        lambda: (a @ b).softmax(-1),
        device=torch.device("cpu"),
        synchronize=lambda: None,
        calls=3,
        trace=tmp_path / "trace.json.gz",
    )
    _, own = found(spans)
    assert own["aten::bmm"][0] == own["aten::_softmax"][0] == 1
    held, allocated = parts.held(spans, on_device=False)
    assert allocated >= 2 * a.nbytes
    assert max(point.bytes for point in held) >= a.nbytes
    events = json.loads(gzip.decompress((tmp_path / "trace.json.gz").read_bytes()))["traceEvents"]
    assert sum(event.get("name") == CALL for event in events) >= 3
    assert [path.name for path in tmp_path.iterdir()] == ["trace.json.gz"]


def test_a_trace_that_the_profiler_could_not_write_is_told_with_its_folder(tmp_path):
    class Silent:
        def export_chrome_trace(self, _path):
            pass

    with pytest.raises(OSError, match=f"wrote no trace to {tmp_path}: is there room"):
        parts._write(Silent(), tmp_path / "trace.json.gz")
