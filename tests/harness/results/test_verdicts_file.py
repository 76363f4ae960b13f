"""Verdicts are read as any version wrote them: a claim that stood in the evidence, a reason that was a text."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness.results.reasons import CausalTime, MeasureMemory
from harness.results.verdicts_file import Verdict, Verdicts

LEAST = {"claim": "A2", "implementation": "batched", "quantity": "time", "verdict": "consistent"}


def test_what_was_evidence_before_is_the_claims_now_and_the_rest_stays():
    old = {**LEAST, "evidence": {"says": "n^2", "source": "article", "law": "power", "arithmetic": "confirmed", "n": 4}}
    found = Verdict.model_validate(old)
    assert (found.says, found.source, found.form, found.arithmetic) == ("n^2", "article", "power", "confirmed")
    assert found.evidence == {"n": 4}
    assert old["evidence"]["says"] == "n^2", "what was given is left alone"


def test_what_a_verdict_says_itself_wins_over_its_evidence():
    found = Verdict.model_validate({**LEAST, "says": "new", "evidence": {"says": "old"}})
    assert (found.says, found.evidence) == ("new", {})


def test_a_reason_is_a_fact_by_its_kind_or_an_older_runs_text():
    fact = CausalTime(n=64, ratio=0.5)
    for reason in ("time is as claimed", fact):
        verdict = Verdict(**LEAST, reason=reason, to_decide=MeasureMemory(axis="n", at_least=5))
        again = Verdict.model_validate(verdict.model_dump(mode="json"))
        assert again == verdict
        assert type(again.reason) is type(reason)
        assert again.to_decide == MeasureMemory(axis="n", at_least=5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"verdict": "plausible"},
        {"quantity": "energy"},
        {"form": "cubic"},
        {"evidence": "none"},
        {"reason": {"kind": "no such kind"}},
        {"to_decide": {"kind": "causal time", "n": 1, "ratio": 1.0}},
        {"expectd": 2.0},
    ],
)
def test_what_is_no_verdict_is_refused(wrong):
    with pytest.raises(ValidationError):
        Verdict.model_validate({**LEAST, **wrong})


@pytest.mark.parametrize("stored", [None, [], "confirmed", 3])
def test_what_is_no_object_is_refused_as_such(stored):
    with pytest.raises(ValidationError, match="valid dictionary"):
        Verdict.model_validate(stored)


def test_the_file_names_its_schema_and_holds_none_where_nothing_was_judged():
    document = Verdicts(verdicts=[Verdict(**LEAST)]).model_dump(mode="json", by_alias=True)
    assert Verdicts.model_validate(document).verdicts == [Verdict(**LEAST)]
    assert "schema" in document
    assert Verdicts.model_validate({"schema": "1.0.0"}).verdicts == []
