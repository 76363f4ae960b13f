"""Verdicts of synthetic runs, and what their implementations are taken to cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.results.verdicts_file import Verdict
from harness.scaling.judgement import judge_law
from harness.verdicts.evidence import SIZES_AT_LEAST, cases_of, series_along, times_of

if TYPE_CHECKING:
    from harness.records import Record

# Seconds of fixed cost, sustained FLOP/s, copies of the n x n scores kept: invented, but ordered as on a CPU.
SPEEDS = {
    "loop": (2e-5, 4e9, 0.0),
    "batched": (4e-5, 2.2e10, 2.0),
    "einsum": (5e-5, 2.0e10, 2.0),
    "online": (9e-5, 1.6e10, 0.0),
    "sdpa-math": (3e-5, 2.4e10, 2.25),
    "sdpa-flash": (2e-5, 6.5e10, 0.0),
    "sdpa-auto": (2e-5, 6.4e10, 0.0),
    "sdpa-cudnn": (2e-5, 7.4e10, 0.0),
    "d2l": (6e-5, 2.2e10, 2.0),
    "torch-module": (5e-5, 5.0e10, 0.0),
    "average": (1e-5, 1.0e9, 0.0),
    "nadaraya-watson": (2e-5, 6.0e9, 2.0),
}
ATTENTION = ("loop", "batched", "einsum", "online", "sdpa-math", "sdpa-flash", "sdpa-auto")
CLAIMS = [
    {"id": "A2", "says": "attention costs O(n^2 k d): quadratic in n, linear in d, heads and batch"},
    {"id": "A5", "says": "the cost grows exponentially with the length of the input"},
    {"id": "B1", "says": "materialised scores take O(n^2) extra memory"},
    {"id": "B2", "says": "blocked softmax takes O(n) extra memory"},
]


def verdicts_of(records: list[Record]) -> list[Verdict]:
    """Make verdicts with invented figures; the laws of time are judged from the records."""
    found = []
    for name in ATTENTION:
        hidden = name == "loop"
        time = ("inconclusive", 1.4, 2.1) if hidden else ("consistent", 1.94, 2.02)
        why = "operations are as claimed (n^2, d); time is " + (
            "hidden by the fixed cost of each row" if hidden else time[0]
        )
        found += [
            _verdict("A2", name, "operations", "confirmed", axis="n", expected=2, exponent=2.0),
            _verdict("A2", name, "operations", "confirmed", axis="d", expected=1, exponent=1.0),
            _verdict(
                "A2",
                name,
                "time",
                time[0],
                axis="n",
                expected=2,
                exponent=1.98,
                low=time[1],
                high=time[2],
                **_law(records, name, axis="n"),
            ),
            _verdict(
                "A2",
                name,
                "time",
                "consistent",
                axis="d",
                expected=1,
                exponent=0.97,
                low=0.9,
                high=1.03,
                **_law(records, name, axis="d"),
            ),
            _verdict("A2", name, "all", "confirmed", axis="n", expected=2, exponent=1.98, reason=why),
            _verdict(
                "A5", name, "all", "refuted", axis="n", exponent=2.0, reason="the counts are a polynomial of degree 2"
            ),
        ]
        claim, degree = ("B1", 2) if SPEEDS[name][2] else ("B2", 1)
        found.append(_verdict(claim, name, "memory", "confirmed", axis="n", expected=degree, exponent=float(degree)))
    return found


def _law(records: list[Record], implementation: str, *, axis: str) -> dict[str, Any]:
    ok = [
        record
        for record in records
        if (record.case.implementation, record.case.problem, record.case.dtype, record.case.direction, record.status)
        == (implementation, "attention", "float32", "forward", "ok")
    ]
    series = series_along(ok, axis=axis)
    if len(series) < SIZES_AT_LEAST:
        return {}
    sizes, best, _ = times_of(series)
    return {"law": judge_law(sizes, best, claimed=2.0 if axis == "n" else 1.0).law, "cases": cases_of(series)}


def _verdict(claim: str, implementation: str, quantity: str, verdict: str, **known: Any) -> Verdict:
    says = next(item["says"] for item in CLAIMS if item["id"] == claim)
    return Verdict.model_validate(
        {
            "claim": claim,
            "implementation": implementation,
            "quantity": quantity,
            "verdict": verdict,
            "says": says,
            "source": "article",
            "arithmetic": "refuted" if claim == "A5" else "confirmed",
            "dtype": "float32",
            "device": "cpu",
            "direction": "forward",
            **known,
        }
    )
