"""Numbers become text a reader takes in at a glance: sensible digits, a unit, and a dash where there is none."""

from __future__ import annotations

import math

import pytest

from reports import units


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234.5, "1,234"), (12.345, "12.3"), (0.999, "0.999"), (0.9999, "1.00"), (1e-5, "1.00e-05"),
     (2e7, "2.00e+07")],
)  # fmt: skip
def test_digits_are_three_and_significant(value, text):
    assert units.digits(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(64.0, "64.0 s"), (0.00105, "1.05 ms"), (12.3e-6, "12.3 µs"), (5e-9, "5.00 ns"), (0.0, "0 ns")],
)
def test_times_have_the_unit_that_suits_them(seconds, text):
    assert units.seconds(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1,023 B"), (1024, "1.00 KiB"), (3 * 2**29, "1.50 GiB"), (2**41, "2.00 TiB")]
)
def test_bytes_go_by_1024(size, text):
    assert units.size(size) == text


def test_quantities_go_by_1000():
    assert units.count(12.3e9, "FLOP") == "12.3 GFLOP"
    assert units.count(5, "FLOP/s") == "5.00 FLOP/s"


@pytest.mark.parametrize("write", [units.seconds, units.size, units.ratio, units.percent, units.plain])
@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_an_absent_figure_is_a_dash_whatever_its_unit(write, value):
    assert write(value) == units.ABSENT


def test_shares_ratios_and_changes():
    assert units.percent(0.1234) == "12 %"
    assert units.whole_percent(0.015) == "1.5 %"
    assert units.ratio(5.412) == "5.41×"
    assert units.change(1.032) == "+3.2 %"
    assert units.change(0.88) == "−12 %"


@pytest.mark.parametrize(("exponent", "text"), [(2.0, "²"), (1.98, "¹·⁹⁸"), (1.0, ""), (None, "")])
def test_an_exponent_is_raised_and_one_is_not_written(exponent, text):
    assert units.power(exponent) == text


def test_powers_in_a_text_are_raised():
    assert units.raised("n^2 d grows as n^(1.5), not n^-1") == "n² d grows as n¹·⁵, not n⁻¹"


def test_lists_and_counts_read_as_a_sentence_does():
    assert units.listing(["a"]) == "a"
    assert units.listing(["a", "b", "c"]) == "a, b and c"
    assert (units.counted(1, "case"), units.counted(1200, "case")) == ("1 case", "1,200 cases")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("power_w_low", 61.2, ("power, lowest", "61.2 W")),
        ("core_3", 0.5, ("core 3", "50 %")),
        ("gpu_utilization", None, ("gpu utilisation", units.ABSENT)),
        ("achieved_flops", 2e12, ("achieved", "2.00 TFLOP/s")),
    ],
)
def test_a_sensor_is_named_with_its_unit(name, value, shown):
    assert units.sensor(name, value) == shown


def test_facts_of_an_environment_are_written_for_people():
    assert units.fact("turbo", True) == "yes"
    assert units.fact("variables", {}) == "none"
    assert units.fact("memory_bytes", 2**34) == "16.0 GiB"
    assert units.fact("load_average", [0.5, 1.0]) == "0.500, 1.00"


def test_a_split_names_the_longest_stage_first_and_leaves_crumbs_together():
    split = units.split({"oracle": 20.0, "other": 9.5, "timed samples": 70.0, "canary": 0.5})
    assert split == "timed samples 70%, oracle 20%, other 10%"
    assert units.split({}) == ""


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (units.count(999_999, ""), "1.00 M"),
        (units.count(999_499, ""), "999 k"),
        (units.count(-999_999, "FLOP"), "-1.00 MFLOP"),
        (units.seconds(9.999e-4), "1.00 ms"),
        (units.size(2**20 - 1), "1.00 MiB"),
        (units.duration(9.9999e-4), "1 ms"),
        (units.duration(4e-10), "0.4 ns"),
        (units.count(0, "FLOP"), "0 FLOP"),
    ],
)
def test_what_rounds_up_to_the_next_unit_is_written_in_it(written, expected):
    assert written == expected
