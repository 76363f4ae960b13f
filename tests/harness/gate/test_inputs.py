"""What inputs look like in memory and what stands beyond the lengths doesn't change what is right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from impls import registry
from impls.discovery import discover
from tests.harness.gate.test_mutants import subject
from tests.support.examining import examine
from tests.support.mutants import MUTANTS, honest

ATTENTION = registry.problem("attention")


# Accepted by a battery without these inputs.
FOUND_BY = {
    "decoding reads the first batch element": "decode",
    "one empty sequence among others gives NaN": "one empty",
    "upstream gradient read as if dense": "strided gradient",
    "expanded upstream gradient taken for zeros": "expanded gradient",
    "NaN hidden": "NaN in a query",
    "NaN in a query spreads over its head": "NaN in a query",
    "NaN leaks from the padding": "NaN padding",
    "masked by adding -1e9": "huge padding",
    "2 % too large at head size 192": "d 192",
    "2 % too large at head sizes 192 and 128": "d 192, d_v 128",
    "positions of 16 bits": "n_k 66000",
    "a last stride other than 1 taken for 1": "columns",
    "values shared by the batch taken for zeros": "shared batch",
    "views of one buffer: keys read where queries lie": "one buffer",
}


@pytest.mark.parametrize(("name", "only"), FOUND_BY.items())
def test_a_kernel_that_is_right_elsewhere_is_found(name, only):
    mutant = MUTANTS[name]
    planted = subject(mutant.build(), "float32", claims=mutant.claims)
    assert "disagreed" in {outcome.status for outcome in examine(planted, only=only)}


def test_scores_that_overflow_before_they_are_scaled_are_found():
    planted = subject(MUTANTS["scores scaled after they overflow"].build(), "float16")
    assert {outcome.status for outcome in examine(planted, only="large products")} == {"disagreed"}
    assert {outcome.status for outcome in examine(subject(honest, "float16"), only="large products")} == {"ok"}


def test_padding_of_nan_is_asked_only_of_who_declares_it():
    statuses = {outcome.status for outcome in examine(subject(honest, "float32"), only="NaN padding")}
    assert statuses == {"unsupported"}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_pytorch_is_right_where_the_last_stride_is_not_one_or_a_batch_is_shared(dtype):
    """Some versions were wrong there on a CPU, silently (pytorch pull requests 187503 to 187506)."""
    discover()
    chosen = registry.get("attention", "sdpa-auto")

    def columns(q, k, v, **options):
        return chosen.function(*(tensor.mT.contiguous().mT for tensor in (q, k, v)), **options)

    for implementation, only in (
        (replace(chosen, function=columns), "one-way"),
        *((chosen, layout) for layout in ("columns", "shared batch", "one buffer")),
    ):
        asked = replace(subject(honest, dtype), implementation=implementation)
        statuses = {outcome.status for outcome in examine(asked, only=only)}
        assert "ok" in statuses
        assert statuses <= {"ok", "unsupported"}
