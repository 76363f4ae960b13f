"""Reasons are facts with a kind of their own: each survives a file as what it was, and no other kind is read."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from harness.results import reasons

REASON, ADVICE, PART = (TypeAdapter(kind) for kind in (reasons.Reason, reasons.Advice, reasons.PartReason))
SPAN = {"axis": "n", "sizes": 6, "smallest": 128, "largest": 768}
COUNTED = reasons.CountedDegree(**SPAN, degree=2, counted_products=10, modelled_products=11)
HELD = reasons.Held(quantity="operations", exponents={"n": 2.0}, reason=COUNTED)
PARTS = [
    reasons.NotCounted(),
    reasons.OnlyDeclared(cause="a custom operator"),
    reasons.NoPolynomial(**SPAN, products=True),
    COUNTED,
    reasons.FiniteDegree(axis="n", degree=2),
    reasons.MaskedPairs(share=0.5, skipped=True),
    reasons.MemoryUnknown(axis="n", sizes=2),
    reasons.MemoryDegree(axis="n", degree=None, largest=64, extra_bytes=8, dtype="float32"),
    reasons.MemoryBeside(n=64, extra_bytes=8, baseline="batched", baseline_bytes=16),
    reasons.FlatTime(axis="d", span=16.0, sizes=5, low=0.0, high=0.1, at_most=0.2, is_flat=True),
    reasons.PowerFits(axis="n", low=1.9, high=2.1),
    reasons.CausalTime(n=64, ratio=0.5),
    reasons.TimeBeside(n=64, ratio=0.5, baseline="batched"),
    reasons.WrongAnswers(axis="n", sizes=[4096], right=3),
    reasons.TiedAxes(axis="n", ties={"batch": "16384 / n"}, sizes=6),
]
TIME = PARTS[-4]
WHOLE = [
    reasons.AsClaimed(held=[HELD], consistent_along=["n"], why_inconclusive=PARTS[0], crossover_n=256.0),
    reasons.TimeDiffers(held=[HELD], time=TIME),
    reasons.TimeAlone(time=TIME, exact=PARTS[1]),
]
ADVISED = [
    reasons.MeasureMemory(axis="n", at_least=5),
    reasons.CompareLarger(precision=0.02),
    reasons.JudgeSegments(axis="n", starts=[512]),
    reasons.SeeSlopes(),
    reasons.HoldAxes(axis="n", held=["batch"]),
]


def kinds(union):
    """List the kinds of a tagged union."""
    members = get_args(get_args(union)[0])
    return [member.model_fields["kind"].default for member in members]


@pytest.mark.parametrize("union", [reasons.Reason, reasons.Advice, reasons.PartReason])
def test_no_two_reasons_share_a_kind(union):
    found = kinds(union)
    assert len(found) == len(set(found))


def test_every_kind_but_those_of_laws_is_tried_here():
    assert {one.kind for one in (*PARTS, *WHOLE)} == set(kinds(reasons.Reason)) - {"time law"}
    assert {one.kind for one in ADVISED} <= set(kinds(reasons.Advice))


@pytest.mark.parametrize("reason", [*PARTS, *WHOLE], ids=lambda reason: reason.kind)
def test_a_reason_survives_its_file_with_its_numbers(reason):
    again = REASON.validate_json(REASON.dump_json(reason))
    assert type(again) is type(reason)
    assert again == reason


@pytest.mark.parametrize("advised", ADVISED, ids=lambda advised: advised.kind)
def test_advice_survives_its_file(advised):
    assert ADVICE.validate_json(ADVICE.dump_json(advised)) == advised


def test_a_judgement_over_all_is_no_reason_of_a_part():
    for whole in WHOLE:
        with pytest.raises(ValidationError):
            PART.validate_python(whole.model_dump())


@pytest.mark.parametrize("wrong", [{"kind": "no such kind"}, {}, {"kind": "not counted", "axs": "n"}])
def test_what_is_no_reason_is_refused(wrong):
    with pytest.raises(ValidationError):
        REASON.validate_python(wrong)
