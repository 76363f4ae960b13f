"""An implementation looks the same in every figure."""

from __future__ import annotations

from reports import style


def test_an_implementation_keeps_its_colour_whatever_else_is_there():
    alone, among = style.looks(["sdpa-flash"]), style.looks(["sdpa-flash", "batched", "mine", "yours"])
    assert alone["sdpa-flash"] == among["sdpa-flash"]
    assert len({look.color for look in among.values()}) == 4


def test_names_beyond_the_colours_are_drawn_hollow():
    found = style.looks(f"kernel-{number:02}" for number in range(len(style.PALETTE) + 1))
    assert [look.filled for look in found.values()] == [True] * len(style.PALETTE) + [False]
