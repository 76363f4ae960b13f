"""The contents of verdicts.json: the verdict on each claim, for each implementation and quantity."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue, model_validator

from harness.records import SCHEMA, DataModel, Record
from harness.results.reasons import Advice, Reason
from harness.scaling.law import Law

# Before version 1.2 of the schema these were entries of the evidence, under these names.
ONCE_EVIDENCE = {"says": "says", "source": "source", "arithmetic": "arithmetic", "law": "form"}


class Verdict(DataModel):
    """The judgement of one claim for one implementation and quantity.

    `says`, `source`, `form` and `arithmetic`, the verdict that arithmetic expects, are the claim's. Time was judged by
    `law`, fitted to the times of `cases`. A run of an earlier schema has its reason as text.
    """

    claim: str
    says: str = ""
    source: str = ""
    form: Literal["", "power", "additive", "exponential", "ratio"] = ""
    arithmetic: str = ""
    implementation: str
    quantity: Literal["operations", "memory", "time", "all"]
    verdict: Literal["confirmed", "refuted", "inconclusive", "consistent", "contradicted"]
    axis: str = ""
    expected: float | None = None
    exponent: float | None = None
    low: float | None = None
    high: float | None = None
    law: Law | None = None
    cases: list[str] = Field(default_factory=list)
    evidence: dict[str, JsonValue] = Field(default_factory=dict)
    reason: Reason | str = ""
    to_decide: Advice | None = None
    dtype: str = ""
    device: str = ""
    direction: str = ""

    @model_validator(mode="before")
    @classmethod
    def _claim_once_in_evidence(cls, stored: Any) -> Any:
        if not isinstance(stored, dict) or not isinstance(stored.get("evidence"), dict):
            return stored
        evidence = dict(stored["evidence"])
        claimed = {field: evidence.pop(name) for name, field in ONCE_EVIDENCE.items() if name in evidence}
        return {**claimed, **stored, "evidence": evidence}


class Verdicts(DataModel):
    """The contents of verdicts.json."""

    schema_version: str = Field(default=SCHEMA, alias="schema")
    verdicts: list[Verdict] = Field(default_factory=list)

    model_config = Record.model_config
