"""The law in one sentence is right for runs that confirm, refute or decide nothing, for flat times and for bytes."""

from __future__ import annotations

import pytest

from harness.results.verdicts_file import Verdict
from reports.answer.law import counted_words, decoding_sentence, head, laws, memory_sentence, sentence, timed_words, who
from tests.support.drawn import run_of


def verdict(name, outcome, *, quantity="all", axis="n", exponent=None, **known):
    fields = {"claim": "A2", "dtype": "float32", "device": "cpu", "direction": "forward"}
    expected = {"n": 2, "d": 1, "heads": 1, "batch": 1, "n_k": 1}[axis]
    return Verdict(
        implementation=name, verdict=outcome, quantity=quantity, axis=axis,
        **{**fields, "expected": expected, "exponent": exponent, **known},
    )  # fmt: skip


def judged(name, outcome, *, counted="confirmed", degree=2.0, **times):
    """Make the verdicts of one implementation; `times` are (verdict, exponent) by axis."""
    found = [verdict(name, outcome)]
    if counted:
        found.append(verdict(name, counted, quantity="operations", exponent=degree))
        found += [verdict(name, "confirmed", quantity="operations", axis="d", exponent=1.0)]
    return found + [verdict(name, was, quantity="time", axis=axis, exponent=e) for axis, (was, e) in times.items()]


def said(*verdicts):
    (law,) = laws(run_of([], verdicts=[one for some in verdicts for one in some], judged=True))
    return sentence(law)


AGREES = {"n": ("consistent", 1.95), "d": ("consistent", 1.1)}
OPEN = {"n": ("inconclusive", 1.5), "d": ("inconclusive", 1.3)}
COUNTED = "Yes: the counted operations of {} grow exactly as n² d; "
NOT_COUNTED = "No: the counted operations of window grow as n, not as n² d; "
PARTLY = "Only for full: the counted operations of full grow exactly as n² d, those of window as n; "
WRITTEN = {
    "complete": (
        [judged(name, "confirmed", **AGREES) for name in ("a", "b", "c")],
        COUNTED.format("all 3 implementations") + "measured time agrees (n¹·⁹⁵ d¹·¹⁰).",
    ),
    "one implementation": (
        [judged("mine", "confirmed", **AGREES)],
        COUNTED.format("mine") + "measured time agrees (n¹·⁹⁵ d¹·¹⁰).",
    ),
    "time of some": (
        [judged(name, "confirmed", **(AGREES if name in "abcd" else OPEN)) for name in "abcdefgh"],
        COUNTED.format("all 8 implementations")
        + "measured time agrees for 4 of 8 implementations (n¹·⁹⁵ d¹·¹⁰) and is inconclusive for the other 4.",
    ),
    "time of none": (
        [judged(name, "confirmed", **OPEN, heads=("consistent", 1.0)) for name in "ab"],
        COUNTED.format("both implementations") + "measured time agrees along heads and is inconclusive along "
        "n and d (about n¹·⁵⁰ d¹·³⁰).",
    ),
    "refuted": (
        [judged("window", "refuted", counted="refuted", degree=1.0, n=("contradicted", 1.02))],
        NOT_COUNTED + "measured time contradicts it for window (n¹·⁰²).",
    ),
    "one of two refuted": (
        [judged("full", "confirmed", **AGREES), judged("window", "refuted", counted="refuted", degree=1.0)],
        PARTLY + "measured time agrees for full (n¹·⁹⁵ d¹·¹⁰).",
    ),
    "time contradicts": (
        [judged("a", "contradicted", counted=None, n=("contradicted", 1.3))],
        "No: measured time contradicts it for a (n¹·³⁰).",
    ),
    "flat": (
        [judged("a", "confirmed", n=("inconclusive", 0.05))],
        COUNTED.format("a") + "measured time hardly depends on n (n⁰·⁰⁵): a fixed cost hides the law at these sizes.",
    ),
    "counts too few": (
        [judged("a", "inconclusive", counted="inconclusive", degree=None)],
        "Undecided: operations were counted at too few sizes to decide; time was not judged.",
    ),
}


@pytest.mark.parametrize(("verdicts", "words"), WRITTEN.values(), ids=WRITTEN)
def test_the_law_is_answered_in_one_sentence(verdicts, words):
    assert said(*verdicts) == words


def test_an_answer_of_several_names_its_conditions_and_the_fullest_leads():
    few = judged("a", "confirmed")
    many = [one.model_copy(update={"dtype": "bfloat16"}) for one in judged("a", "confirmed", **AGREES)]
    found = laws(run_of([], verdicts=[*few, *many], judged=True))
    assert [law.dtype for law in found] == ["bfloat16", "float32"]
    assert sentence(found[0], where="bfloat16").startswith("Yes, in bfloat16: ")


def test_a_claim_on_memory_or_on_exponential_growth_is_no_law():
    other = [verdict("a", "confirmed", quantity="memory"), verdict("a", "refuted", expected=None, claim="A5")]
    assert laws(run_of([], verdicts=other, judged=True)) == []


def test_a_run_of_bytes_alone_says_how_memory_grows():
    bytes_of = [verdict(name, "confirmed", quantity="memory", expected=degree, claim=f"B{degree}")
                for name, degree in (("batched", 2), ("online", 1), ("einsum", 2))]  # fmt: skip
    assert memory_sentence(run_of([], verdicts=bytes_of, judged=True)) == (
        "Extra memory grows as n² for batched and einsum, and as n for online; this run judged no claim about time."
    )
    assert memory_sentence(run_of([], verdicts=judged("a", "confirmed"), judged=True)) == ""


def test_words_of_a_row_count_who_is_meant():
    (law,) = laws(run_of([], verdicts=[*judged("a", "confirmed", **AGREES), *judged("b", "confirmed", **OPEN)]))
    assert (head(law), counted_words(law), timed_words(law)) == ("Yes", "n² d for 2 of 2", "agrees for 1 of 2, n¹·⁹⁵")
    (undecided,) = laws(run_of([], verdicts=judged("b", "confirmed", **OPEN)))
    assert timed_words(undecided) == "undecided, about n¹·⁵⁰"


def test_many_names_are_counted():
    assert who(["a"], of=["a"]) == "a"
    assert who(["a", "b"], of=["a", "b"]) == "both implementations"
    assert who(["a", "b", "c"], of="abcd") == "a, b and c"
    assert who(list("abcd"), of="abcde") == "4 of 5 implementations"


def test_decoding_is_linear_by_count_and_by_time_or_is_not():
    found = [
        verdict("batched", "confirmed", quantity="operations", axis="n_k", exponent=1.0),
        verdict("online", "confirmed", quantity="operations", axis="n_k", exponent=1.0),
        verdict("batched", "consistent", quantity="time", axis="n_k", exponent=1.1),
        verdict("online", "contradicted", quantity="time", axis="n_k", exponent=2.0),
        verdict("batched", "confirmed", axis="n_k"),
    ]
    assert decoding_sentence(run_of([], verdicts=found)) == (
        "Decoding: the counted operations of both implementations are linear in n_k; measured time agrees for batched; "
        "measured time contradicts it for online."
    )
    refuted = [verdict("window", "refuted", quantity="operations", axis="n_k", exponent=0.0)]
    assert decoding_sentence(run_of([], verdicts=refuted)) == (
        "Decoding: the counted operations of window are not linear in n_k."
    )
    assert decoding_sentence(run_of([], verdicts=[verdict("batched", "confirmed", quantity="operations")])) == ""
