"""The tutorial's analysis line by line: each claim speaks of axes, implementations and laws that there are."""

from __future__ import annotations

import fnmatch

import pytest

from impls import discovery, registry
from scenarios import claims
from scenarios.catalog import CATALOG
from scenarios.scenario import AXIS_NAMES, Claim

# An exponent of `heads at fixed width` is along heads, with d tied to them.
JUDGED = {*AXIS_NAMES, "heads at fixed width"}
NAMED = [pytest.param(claim, id=f"{claim.id} {claim.says[:30]}") for claim in claims.CLAIMS if claim.about != ["*"]]


def test_every_line_of_the_tutorials_analysis_is_a_claim_of_the_article_and_ours_of_arithmetic():
    by_source = {
        source: {claim.id for claim in claims.CLAIMS if claim.source == source} for source in ("article", "arithmetic")
    }
    assert by_source["article"] == {f"A{line}" for line in range(1, 7)}
    assert by_source["arithmetic"] == {f"B{line}" for line in range(1, 6)}


def test_all_claims_of_this_file_are_listed_once():
    declared = [value for value in vars(claims).values() if isinstance(value, Claim)]
    assert len(claims.CLAIMS) == len(declared)
    assert all(claim in claims.CLAIMS for claim in declared)


@pytest.mark.parametrize("claim", claims.CLAIMS, ids=lambda claim: f"{claim.id} {claim.says[:30]}")
def test_a_claim_is_judged_along_axes_that_there_are_and_swept_by_a_scenario(claim):
    assert claim.exponents
    assert {axis for term in (claim.exponents, *claim.terms) for axis in term} <= JUDGED
    assert [scenario.name for scenario in CATALOG if claim in scenario.claims]


def test_an_additive_law_is_dominated_in_the_end_by_the_term_that_is_judged():
    for claim in claims.CLAIMS:
        if claim.law == "additive":
            for axis, exponent in claim.exponents.items():
                assert max(term.get(axis, 0.0) for term in claim.terms) == exponent


def test_a_ratio_has_a_baseline_and_other_laws_have_none():
    for claim in claims.CLAIMS:
        assert (claim.baseline is not None) == (claim.law == "ratio"), claim.says


@pytest.mark.parametrize("claim", NAMED)
def test_each_name_that_a_claim_is_about_is_one_of_an_implementation(claim):
    known = {name for _, name in discovery.discover().entries} | {"flex"}
    for pattern in claim.about:
        # Of packages that may be installed beside ours.
        if not pattern.startswith("flash-attn"):
            assert fnmatch.filter(known, pattern.removeprefix("!")), pattern


def test_what_is_materialised_plans_for_score_buffers_and_what_is_blocked_for_none():
    discovery.discover()
    for name in claims.MATERIALISED:
        assert registry.get("attention", name).buffers("float32") >= 2.0
    for name in ("loop", "online", "sdpa-flash", "sdpa-efficient", "sdpa-cudnn"):
        assert name in claims.BLOCKED
        assert registry.get("attention", name).buffers("float32") == 0.0
