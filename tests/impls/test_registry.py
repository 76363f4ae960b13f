"""The registry finds implementations without any list, and a broken one costs only itself."""

from __future__ import annotations

import pytest

from impls import discovery, registry


def test_an_unknown_name_is_answered_with_the_choices():
    discovery.discover()
    with pytest.raises(KeyError, match=r"no implementation 'sdpa-flsh'; did you mean 'sdpa-flash'\? have: batched"):
        registry.get("attention", "sdpa-flsh")


def test_unknown_words_of_a_registration_are_refused():
    with pytest.raises(ValueError, match="no feature 'casual'; did you mean 'causal'"):
        registry.register(problem="attention", name="x", supports=("casual",))
