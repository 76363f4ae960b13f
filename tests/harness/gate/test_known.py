"""What is right for some inputs is worked out once while there is room for it."""

from __future__ import annotations

import torch

from harness.gate.known import Known
from impls.contract import Witness


def made(asked, name, *, elements=1):
    """Return what works out a witness of three tensors of so many elements, and notes that it was asked."""

    def work_out():
        asked.append(name)
        return (Witness(*(torch.zeros(elements, dtype=torch.float64) for _ in range(3))),)

    return work_out


def test_the_same_inputs_are_worked_out_once():
    asked, known = [], Known()
    first = known.of("a", made(asked, "a"))
    known.of("b", made(asked, "b"))
    assert known.of("a", made(asked, "again")) is first
    assert asked == ["a", "b"]


def test_the_oldest_make_room_but_the_last_two_stay_however_large():
    asked, known = [], Known(bytes_at_most=3 * 24)
    for name in ("a", "b", "c", "d"):
        known.of(name, made(asked, name))
    known.of("b", made(asked, "b again"))
    known.of("a", made(asked, "a again"))
    assert asked == ["a", "b", "c", "d", "a again"]
    for name in ("large", "other", "large", "other"):
        known.of(name, made(asked, name, elements=100))
    assert asked[5:] == ["large", "other"]
