"""Every reason of a verdict has a sentence whose numbers have their units, and none is read back from a sentence."""

from __future__ import annotations

import json
import re
from typing import get_args

import pytest

from harness.results import journal, reasons
from harness.results.reasons import (
    Advice,
    AsClaimed,
    CausalTime,
    CompareLarger,
    CountedDegree,
    FiniteDegree,
    FlatTime,
    Held,
    HoldAxes,
    JudgeSegments,
    LinearParts,
    MaskedPairs,
    MeasureMemory,
    MemoryBeside,
    MemoryDegree,
    MemoryUnknown,
    NoPolynomial,
    NotCounted,
    OnlyDeclared,
    PowerFits,
    Reason,
    SeeSlopes,
    TiedAxes,
    TimeAlone,
    TimeBeside,
    TimeDiffers,
    TimeLaw,
    WrongAnswers,
)
from harness.results.verdicts_file import Verdict, Verdicts
from harness.scaling import wording
from harness.scaling.reasons import (
    DominantTerm,
    ExponentInterval,
    FixedCost,
    JudgeApart,
    LawAdvice,
    LawReason,
    LowerTermPossible,
    MeasureSizes,
    RepeatSizes,
    Scatter,
    ShortRange,
    TooFewSizes,
)
from reports.answer.reasons import advice, explanation, sentence

BAND = {"band_low": 1.75, "band_high": 2.25}
SPAN = {"sizes": 6, "smallest": 128, "largest": 768}
INSIDE = ExponentInterval(low=1.954, high=2.049, **BAND, where="inside")
OUTSIDE = ExponentInterval(low=0.96, high=1.04, **BAND, where="outside")
FLOOR = FixedCost(cost=0.000248, smallest=256, share_at_smallest=0.164, largest=4096, share_at_largest=0.004)
HELD = [Held(quantity="operations", exponents={"n": 2, "d": 1})]
LESS_MEMORY = MemoryBeside(n=2048, extra_bytes=1216512, baseline="batched", baseline_bytes=270532608)
HELD_WORDS = "operations are as claimed (n: 2, d: 1)"

LAWS = [
    (TooFewSizes(sizes=5, at_least=7), "5 sizes are too few to tell laws apart (at least 7 are needed)"),
    (
        ShortRange(ratio=8.0, at_least=16.0),
        "a size range of 8 times is too short to tell laws apart (at least 16 times is needed)",
    ),
    (FLOOR, "a fixed cost of 248 µs hides the law: it is 16 % of the cost at 256 and 0 % at 4096"),
    (Scatter(residual=0.31), "costs scatter 31 % around the best curve, more than any law explains"),
    (INSIDE, "the exponent is between 1.95 and 2.05, inside 1.75 to 2.25"),
    (
        INSIDE.model_copy(update={"up_to_logarithm": True}),
        "the exponent is between 1.95 and 2.05, inside 1.75 to 2.25 (up to a log factor)",
    ),
    (OUTSIDE, "the exponent is between 0.96 and 1.04, outside 1.75 to 2.25"),
    (
        ExponentInterval(low=1.6, high=1.9, **BAND, where="partly inside"),
        "the exponent is between 1.60 and 1.90, only partly inside 1.75 to 2.25",
    ),
    (
        DominantTerm(**BAND),
        (
            "with a term one power lower, the exponent is inside 1.75 to 2.25, and its term is most of the cost at the "
            "largest size"
        ),
    ),
    (
        LowerTermPossible(low=1.4, high=1.6, claimed=2.0),
        "the exponent alone is between 1.40 and 1.60; with a term one power lower, 2 is possible but not shown",
    ),
]
REASONS = [
    *((TimeLaw(axis="n", law=law), words) for law, words in LAWS),
    (
        TimeLaw(axis="n", law=OUTSIDE, counts_decide=True, overtaken_at=295.4),
        (
            "the exponent is between 0.96 and 1.04, outside 1.75 to 2.25, but along n lower-order terms and parallel "
            "speed-up bend time, and counts decide; dispatching operators costs a term one power lower, overtaken at "
            "n = 295"
        ),
    ),
    (
        TimeLaw(
            axis="d",
            law=INSIDE,
            parts=LinearParts(
                at=192, share=0.21, share_low=0.18, share_high=0.24, slope=2e-6, slope_low=1.9e-6, slope_high=2.1e-6
            ),
        ),
        (
            "the exponent is between 1.95 and 2.05, inside 1.75 to 2.25; as a line, 21 % (18 % to 24 %) of the time at "
            "d = 192 does not depend on d, and each further one costs 2.00 µs (1.90 µs to 2.10 µs)"
        ),
    ),
    (
        FlatTime(axis="n", span=64, sizes=9, low=0.0, high=0.02, at_most=0.2, is_flat=True),
        "time does not grow: over a range of 64 at most 2.0 % of it depends on n",
    ),
    (
        FlatTime(axis="n", span=64, sizes=9, low=0.5, high=0.6, at_most=0.2, is_flat=False),
        (
            "over a range of 64 between 50 % and 60 % of the time depends on n, where 20 % is the most that a flat "
            "time may have"
        ),
    ),
    (PowerFits(axis="n", low=1.9, high=2.1), "a power of n between 1.90 and 2.10 describes the times"),
    (
        CausalTime(n=2048, ratio=0.61, low=0.58, high=0.64),
        "at n = 2048 a causal call takes 0.61 of the time of a full one (0.58 to 0.64)",
    ),
    (CausalTime(n=64, ratio=1.0), "at n = 64 a causal call takes 1.00 of the time of a full one"),
    (
        TimeBeside(n=4096, ratio=0.0042, baseline="batched"),
        "at n = 4096 it takes 0.0042 of the time of batched, a speed-up of 238.10",
    ),
    (
        WrongAnswers(axis="n_k", sizes=[40000, 65600], right=4),
        ("its answers were wrong at n_k = 40000 and 65600, and the 4 that remain show no law of one computation"),
    ),
    (
        WrongAnswers(axis="n", sizes=list(range(1, 65)), right=0),
        (
            "its answers were wrong at n = 1, 2, 3, 4, 5, 6 and 58 more sizes, and the 0 that remain show no law of "
            "one computation"
        ),
    ),
    (
        TiedAxes(axis="n", ties={"batch": "16384 / n", "d": "2 * n"}, sizes=6),
        "batch = 16384 / n and d = 2 * n at all 6 sizes: n, batch and d can't be separated",
    ),
    (NotCounted(), "operations were not counted"),
    (NotCounted(axis="n_k"), "operations were not counted along n_k"),
    (
        OnlyDeclared(cause="takes 70000 bytes, mine::attend hides"),
        "operations are only declared, not counted: takes 70000 bytes, mine::attend hides",
    ),
    (
        NoPolynomial(axis="n", products=True, **SPAN),
        "counted operations of products are no polynomial of n at 6 sizes from 128 to 768",
    ),
    (
        CountedDegree(axis="n", degree=2, **SPAN),
        "counted operations are a polynomial of degree 2 in n, exactly, at 6 sizes from 128 to 768",
    ),
    (
        CountedDegree(axis="n", degree=2, **SPAN, counted_products=1048576, modelled_products=90),
        (
            "counted operations are a polynomial of degree 2 in n, exactly, at 6 sizes from 128 to 768 (1,048,576 "
            "products counted in one call, 90 in the model)"
        ),
    ),
    (
        FiniteDegree(axis="n", degree=2),
        "counted operations are a polynomial of degree 2 in n: doubling n multiplies them by 4",
    ),
    (
        MaskedPairs(share=0.504, skipped=True),
        "50 % of the products remain under a causal mask: masked pairs are skipped",
    ),
    (
        MaskedPairs(share=1.0, skipped=False),
        "100 % of the products remain under a causal mask: masked pairs are computed and thrown away",
    ),
    (MemoryUnknown(axis="n", sizes=2), "extra memory is known at too few sizes of n: 2"),
    (
        MemoryDegree(axis="n", degree=2, largest=4096, extra_bytes=270532608, dtype="float32", score_buffers=2.0004),
        "extra memory has degree 2 in n: 258 MiB at 4096, 2 buffers of n² float32 scores for each head",
    ),
    (
        MemoryDegree(axis="n", degree=1, largest=4096, extra_bytes=1216512, dtype="float32", over_line=1.021),
        "extra memory has degree 1 in n: 1.16 MiB at 4096, 1.02 times the line through smaller sizes",
    ),
    (
        MemoryDegree(axis="n", degree=0, largest=4096, extra_bytes=0, dtype="float32"),
        "extra memory has degree 0 in n: 0 B at 4096",
    ),
    (
        MemoryDegree(axis="n", degree=None, largest=64, extra_bytes=5000, dtype="float32"),
        "extra memory is neither linear nor quadratic in n: 4.88 KiB at 64",
    ),
    (
        LESS_MEMORY,
        "at n = 2048 it takes 1.16 MiB of extra memory, batched 258 MiB",
    ),
    (
        AsClaimed(held=HELD, consistent_along=["n", "n_k"]),
        f"{HELD_WORDS}, time is consistent along n, n_k",
    ),
    (
        AsClaimed(
            held=[*HELD, Held(quantity="memory", reason=LESS_MEMORY)],
            inconclusive_along=["d"],
            why_inconclusive=TimeLaw(axis="d", law=FLOOR),
            crossover_n=1024.0,
        ),
        (
            f"{HELD_WORDS}, extra memory is as claimed, at n = 2048 it takes 1.16 MiB of extra memory, batched 258 "
            "MiB, time is inconclusive along d: a fixed cost of 248 µs hides the law: it is 16 % of the cost at 256 "
            "and 0 % at 4096; the quadratic terms overtake the linear ones at n = 1024"
        ),
    ),
    (
        TimeDiffers(held=HELD, time=TimeLaw(axis="n", law=OUTSIDE)),
        f"{HELD_WORDS}, but time contradicts it: the exponent is between 0.96 and 1.04, outside 1.75 to 2.25",
    ),
    (
        TimeAlone(time=TimeLaw(axis="n", law=INSIDE), exact=NotCounted()),
        "the exponent is between 1.95 and 2.05, inside 1.75 to 2.25 (time alone; operations were not counted)",
    ),
    (
        TimeAlone(time=TimeLaw(axis="n", law=INSIDE)),
        "the exponent is between 1.95 and 2.05, inside 1.75 to 2.25 (time alone)",
    ),
]
ADVICE = [
    (
        MeasureSizes(sizes=11, start=4096, end=262144, past_fixed_cost=True),
        "measure 11 sizes from 4096 to 262144, where the fixed cost no longer counts",
    ),
    (
        MeasureSizes(sizes=17, start=16384, end=1048576, precision=0.01),
        "measure 17 sizes from 16384 to 1048576 to a precision of 1 %",
    ),
    (RepeatSizes(sizes=11, precision=0.01), "repeat the 11 sizes to a precision of 1 % on a quiet machine"),
    (JudgeApart(multiple=2), "judge even sizes and odd ones apart"),
    (MeasureMemory(axis="n", at_least=4), "measure 4 sizes of n or more"),
    (CompareLarger(precision=0.01), "compare at a larger n, to a precision of 1 %"),
    (
        JudgeSegments(axis="n", starts=[1024, 2048]),
        "judge the segments apart that begin at n = 1024 and 2048, where other kernels ran or page faults set in",
    ),
    (SeeSlopes(), "look at the local slopes, and repeat the sweep on a quiet machine"),
    (HoldAxes(axis="n", held=["batch", "heads"]), "sweep n with the same batch and heads throughout"),
]


def named(pairs):
    return pytest.mark.parametrize(("fact", "words"), pairs, ids=[type(fact).__name__ for fact, _ in pairs])


@named(REASONS)
def test_a_reason_becomes_its_sentence(fact, words):
    assert sentence(fact) == words


@named(ADVICE)
def test_advice_becomes_its_sentence(fact, words):
    assert advice(fact) == words


def kinds(union):
    found = set()
    for member in get_args(union):
        found |= kinds(member) if get_args(member) else {member}
    return {member for member in found if isinstance(member, type)}


def test_every_kind_of_reason_and_of_advice_is_among_the_examples():
    assert {type(fact) for fact, _ in REASONS} == kinds(Reason)
    assert {type(fact) for fact, _ in LAWS} == kinds(LawReason)
    assert {type(fact) for fact, _ in ADVICE} == kinds(Advice)
    assert kinds(LawAdvice) < kinds(Advice)


@pytest.mark.parametrize("words", [sentence(fact) for fact, _ in REASONS] + [advice(fact) for fact, _ in ADVICE])
def test_no_sentence_has_a_broken_number(words):
    """A unit within a number, an exponent, a number that is none, or a bare count of bytes or seconds."""
    words = words.removeprefix("operations are only declared, not counted: takes 70000 bytes")
    assert not re.search(r"B\.\d|\de[+-]?\d|\bnan\b|\binf\b|None|\d bytes|\d\.\d{5}", words)


def test_such_a_check_finds_the_number_that_was_once_broken():
    for broken in ("takes 0 B.61 of the time", "from 1.04858e+06", "takes 1216512 bytes", "is 0.123456 s"):
        with pytest.raises(AssertionError):
            test_no_sentence_has_a_broken_number(broken)


@pytest.mark.parametrize("value", [0.61, 1.0, 0.0042, 12.5, 238.1])
def test_a_ratio_is_written_as_it_is(value):
    words = sentence(CausalTime(n=64, ratio=value))
    written = float(re.search(r"takes (\S+) of", words)[1])
    assert written == pytest.approx(value, rel=0.01)


@pytest.mark.parametrize("value", [1, 2, 2.5, 64, 4096, 1048576, 16777216.0])
def test_a_size_has_no_exponent(value):
    assert float(wording.size(value)) == value
    assert "e" not in wording.size(value)


def test_a_cost_whose_unit_nobody_knows_has_none():
    assert wording.sentence(FLOOR).startswith("a fixed cost of 0.000248 hides the law")


@pytest.mark.parametrize("fact", [fact for fact, _ in REASONS], ids=lambda fact: type(fact).__name__)
def test_a_reason_survives_its_file(fact, tmp_path):
    verdict = Verdict(claim="A2", implementation="batched", quantity="all", verdict="confirmed", reason=fact)
    stored = Verdicts(verdicts=[verdict]).model_dump(mode="json", by_alias=True)
    journal.write_document(tmp_path / journal.VERDICTS, stored)
    assert journal.read_verdicts(tmp_path).verdicts[0].reason == fact
    assert json.loads((tmp_path / journal.VERDICTS).read_text())["verdicts"][0]["reason"]["kind"] == fact.kind


def test_what_would_decide_stands_behind_the_reason():
    verdict = Verdict(
        claim="A2",
        implementation="batched",
        quantity="time",
        verdict="inconclusive",
        reason=TimeLaw(axis="n", law=TooFewSizes(sizes=3, at_least=7)),
        to_decide=MeasureSizes(sizes=11, start=16, end=1024),
    )
    assert explanation(verdict) == (
        "3 sizes are too few to tell laws apart (at least 7 are needed); to decide, measure 11 sizes from 16 to 1024"
    )


# A verdict as version 1.1 of the schema stored it.
OLD = {
    "claim": "B5",
    "implementation": "sdpa-flash",
    "quantity": "all",
    "verdict": "inconclusive",
    "axis": "causal",
    "expected": 0.5,
    "exponent": 0.61,
    "low": 0.58,
    "high": 0.64,
    "evidence": {
        "says": "a causal mask halves the time",
        "source": "arithmetic",
        "arithmetic": "confirmed",
        "law": "ratio",
        "by": {"time along causal": "inconclusive"},
        "to_decide": "compare at a larger n and to a precision of 1 %",
    },
    "reason": "at n = 2048 a causal call takes 0.61 of the time of a full one; to decide, compare at a larger n",
    "dtype": "float32",
    "device": "cpu",
    "direction": "forward",
}


def test_a_run_of_an_earlier_schema_is_read_and_its_reason_shown_as_it_is(tmp_path):
    journal.write_document(tmp_path / journal.VERDICTS, {"schema": "1.1.0", "verdicts": [OLD]})
    verdict = journal.read_verdicts(tmp_path).verdicts[0]
    assert explanation(verdict) == OLD["reason"]
    assert (verdict.says, verdict.source) == ("a causal mask halves the time", "arithmetic")
    assert (verdict.arithmetic, verdict.form) == ("confirmed", "ratio")
    assert (verdict.law, verdict.cases, verdict.to_decide) == (None, [], None)
    assert set(verdict.evidence) == {"by", "to_decide"}


def test_a_reason_of_no_known_kind_is_refused(tmp_path):
    journal.write_document(
        tmp_path / journal.VERDICTS, {"verdicts": [{**OLD, "reason": {"kind": "hunch"}}], "schema": "1.2.0"}
    )
    with pytest.raises(ValueError, match="hunch"):
        journal.read_verdicts(tmp_path)


def test_reasons_hold_no_sentences():
    """A field of text names a thing: an axis, an implementation, a dtype, or what the counter said."""
    texts = {
        name
        for fact in (*kinds(Reason), *kinds(LawReason), *kinds(Advice), reasons.Held)
        for name, field in fact.model_fields.items()
        if field.annotation in {str, str | None}
    }
    assert texts == {"axis", "baseline", "dtype", "cause"}
