"""A point of `multihead` is right, or refused with everything that is wrong with it."""

from __future__ import annotations

import pytest

from impls.multihead import problem as multihead


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"n": 4, "width": 10, "heads": 3}, "width 10 must be a multiple of heads 3"),
        ({"n": 4, "widht": 10}, "no axis 'widht'; did you mean 'width'"),
        ({"n": 4, "dropout": 1.0}, "dropout must be a probability below 1"),
        ({"n": 4, "valid_lens": 5}, "valid_lens 5 exceeds n_k 4"),
        ({"n": 4, "phase": "score"}, "no phase 'score'; did you mean 'scores'"),
        ({"n": 4, "phase": "scores", "valid_lens": 2}, "run on plain self-attention"),
        ({"n_q": 4}, "n_k is missing"),
    ],
)
def test_a_mistaken_point_is_refused_with_its_reason(point, message):
    with pytest.raises(ValueError, match=message):
        multihead.parse(point)
