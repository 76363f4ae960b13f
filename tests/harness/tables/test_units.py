"""Units multiply by what they say, in whatever spelling, and one that could mean two things is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from harness.tables.units import NO_UNIT, explain_unknown, find_unit


def scale(text, *, thousand=1000, **defined):
    unit = find_unit(text, defined={name: Decimal(factor) for name, factor in defined.items()})
    return unit.dimension, float(unit.scale(thousand=thousand))


@pytest.mark.parametrize(
    ("text", "dimension", "factor"),
    [
        ("ms", "seconds", 1e-3),
        ("MS", "seconds", 1e-3),
        ("μs", "seconds", 1e-6),
        ("Sec", "seconds", 1.0),
        ("hours", "seconds", 3600.0),
        ("B", "bytes", 1.0),
        ("KB", "bytes", 1e3),
        ("kB", "bytes", 1e3),
        ("KiB", "bytes", 1024.0),
        ("Gi B", "bytes", 2.0**30),
        ("Mb", "bytes", 1e6),
        ("TFLOP/s", "FLOP/s", 1e12),
        ("GFLOPS", "FLOPS", 1e9),
        ("W", "W", 1.0),
        ("%", "", 0.01),
        ("×", "", 1.0),
        ("tokens", "", 1.0),
    ],
)
def test_a_unit_has_its_dimension_and_its_factor(text, dimension, factor):
    assert scale(text) == (dimension, pytest.approx(factor))


@pytest.mark.parametrize("text", ["k", "K", "k tokens", "ktok"])
def test_a_bare_prefix_counts_by_what_the_table_counts_by(text):
    assert scale(text) == ("", 1000.0)
    assert scale(text, thousand=1024) == ("", 1024.0)


def test_a_binary_prefix_and_a_prefix_of_a_dimension_count_by_nothing_else():
    assert scale("Ki", thousand=1000) == ("", 1024.0)
    assert scale("MB", thousand=1024) == ("bytes", 1e6)


def test_mega_and_giga_are_powers_of_the_thousand():
    assert scale("M", thousand=1024) == ("", 1024.0**2)
    assert scale("G", thousand=1000) == ("", 1e9)


def test_what_is_defined_wins_and_keeps_a_known_dimension():
    assert scale("KB", KB=1024) == ("bytes", 1024.0)
    assert scale("lap", lap=42) == ("lap", 42.0)


def test_nothing_is_no_unit():
    assert find_unit("") is NO_UNIT
    assert find_unit("  ") is NO_UNIT


@pytest.mark.parametrize("text", ["m", "Ms", "parsec", "q", "kms", "kk", "Kix"])
def test_what_is_no_unit_or_several_is_none(text):
    assert find_unit(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("m", "the unit 'm' may be min, milli or M"),
        ("Ms", "the unit 'Ms' may be ms or a million seconds"),
        ("secnds", "'secnds' is no unit that is known; did you mean 'seconds'?"),
        ("xyzzy", "'xyzzy' is no unit that is known"),
    ],
)
def test_an_unknown_unit_is_explained(text, words):
    assert explain_unknown(text) == words
