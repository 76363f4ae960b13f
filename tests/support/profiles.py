"""A profile of a case with figures that are easily followed: 1 ms, most of it in a product."""

from __future__ import annotations

from typing import Any

from harness.profiled import CaseProfile, Held, Part
from harness.records import Agreement, Ceiling
from tests.support.runs import ok_case

CEILINGS = [
    Ceiling(name="matmul float32", value=1e11, unit="FLOP/s", how="given"),
    Ceiling(name="memory copy", value=1e10, unit="B/s", how="given"),
]


def part(name: str, seconds: float, *, kind: str = "operator", count: int = 1) -> Part:
    return Part(name=name, kind=kind, count=count, seconds=seconds, share=seconds / 1e-3)


def case_profile(**changes: Any) -> CaseProfile:
    known = {
        "case": ok_case("batched", n=16, d=8),
        "agreement": Agreement(passed=True, checks=[], rows_checked=3),
        "operations": 80_000_000,
        "ideal_bytes": 1_000_000,
        "call_seconds": 1e-3,
        "profiled_seconds": 1e-3,
        "calls": 21,
        "parts": [
            part("aten::bmm", 7e-4, count=2),
            part("aten::_softmax", 2e-4),
            part("outside of operators", 9.8e-5, kind="outside"),
            part("aten::view", 2e-6, count=2),
        ],
        "held": [Held(seconds=0.0, bytes=0), Held(seconds=1e-4, bytes=500_000), Held(seconds=9e-4, bytes=100)],
        "allocated_bytes": 500_000,
    }
    return CaseProfile(**{**known, **changes})
