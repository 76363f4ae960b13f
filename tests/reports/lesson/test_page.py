"""The lesson's page tells what its run found, each line with its verdicts."""

from __future__ import annotations

import pytest

from harness.results.reasons import CausalTime, MemoryBeside, TimeLaw
from harness.results.verdicts_file import Verdict
from harness.scaling.reasons import FixedCost
from reports.lesson import page


def verdict(implementation, outcome, *, claim="A2", quantity="all", **known):
    fields = {"axis": "n", "expected": 2, "dtype": "float32", "device": "cpu", "direction": "forward"}
    return Verdict(
        claim=claim, implementation=implementation, quantity=quantity, verdict=outcome, **{**fields, **known}
    )


REASONS = [
    (
        CausalTime(n=2048, ratio=0.61, low=0.58, high=0.64),
        "at n = 2048 a causal call takes 0.61 of the time of a full one (0.58 to 0.64)",
    ),
    (
        MemoryBeside(n=2048, extra_bytes=1216512, baseline="batched", baseline_bytes=270532608),
        "at n = 2048 it takes 1.16 MiB of extra memory, batched 258 MiB",
    ),
    (
        TimeLaw(
            axis="n",
            law=FixedCost(cost=0.000248, smallest=256, share_at_smallest=0.16, largest=1048576, share_at_largest=0.001),
        ),
        "a fixed cost of 248 µs hides the law: it is 16 % of the cost at 256 and 0 % at 1048576",
    ),
]


@pytest.mark.parametrize(("reason", "words"), REASONS, ids=[reason.kind for reason, _ in REASONS])
def test_a_line_of_the_lesson_gives_its_reason_with_units(reason, words):
    judged = page.judge([verdict("sdpa-flash", "inconclusive", claim="B5", axis="causal", reason=reason)])
    assert next(line for line in judged if line.line.id == "B5").verdicts == (("sdpa-flash", "inconclusive", words),)
