"""Cells of other people's tables: what is a number, what says that nothing was measured, and what is a mistake."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.tables.cells import LONGEST, Marker, Mistake, Number, quote, read_cell
from harness.tables.units import find_unit

POSITIVE = st.floats(min_value=1e-300, max_value=1e300)
SIGNS = "0123456789.,eE+-^*×±()[]<>~ \t\u00a0\u202f'_kKMGiBmsnμ%/|#∞✗—−⁰¹²³$\\{}\x00\ud800½"


def value(text, **options):
    cell = read_cell(text, **options)
    assert isinstance(cell, Number), (text, cell)
    return cell.value()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.82s", 2.82),
        ("12 ms", 0.012),
        ("3 MS", 0.003),
        ("7.04 µs", 7.04e-6),
        ("45 μs", 45e-6),
        ("1.3 GiB", 1.3 * 2**30),
        ("270KB", 270e3),
        ("4.0MB", 4e6),
        ("12 TFLOP/s", 12e12),
        ("8,192", 8192),
        ("1,048,576", 1048576),
        ("8 192", 8192),
        ("8\u202f192", 8192),
        ("8'192", 8192),
        ("1_000_000", 1e6),
        ("1.024.000", 1024000),
        ("1,024.5", 1024.5),
        ("1.024,5", 1024.5),
        ("2^10", 1024),
        ("2**10", 1024),
        ("2¹⁰", 1024),
        ("2<sup>10</sup>", 1024),
        ("$2^{10}$", 1024),
        ("10^-3", 0.001),
        ("1.5×10⁻³", 0.0015),
        ("1.5 x 10^3 s", 1500),
        ("26. 4", 26.4),
        ("107.12±15.1", 107.12),
        ("107.12 +/- 15.1 ms", 0.10712),
        ("1.62 ms ± 7.04 µs per loop (mean ± std. dev. of 7 runs, 1000 loops each)", 0.00162),
        ("**12.3**", 12.3),
        ("__12.3__", 12.3),
        ("`12.3`", 12.3),
        ("<b>12.3</b>", 12.3),
        (r"\textbf{12.3}", 12.3),
        ("[12.3](https://example.org/x)", 12.3),
        ("12.3†", 12.3),
        ("12.3 (2.1x)", 12.3),
        ("🟢 12.3", 12.3),
        ("~12", 12),
        ("≈ 12.5", 12.5),
        ("−5", -5),
        ("0.000000", 0),
        ("-1", -1),
        ("1e-5", 1e-5),
        (".5", 0.5),
        ("12.", 12),
        ('="8192"', 8192),
        ("0m2.820s", 2.82),
        ("1h 2m 3s", 3723),
        ("95%", 0.95),
    ],
)
def test_what_people_write_is_read(text, expected):
    assert value(text) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        *("", "  ", "-", "--", "–", "—", "...", "…", "?", "N/A", "n/a", "nan", "NaN", "null", "None", "OOM", "oom"),
        *("OOM (80 GB)", "CUDA out of memory", "timeout", "Timed out", "> 3600", "<0.1 ms", ">1h", "✗", "✓", "❌"),
        *("inf", "∞", "#DIV/0!", "#N/A", "skipped", "not supported", "error: invalid argument", "DNF", "~~12.3~~"),
        *("**OOM**", "`-`", "3.2 (timeout)", "crashed"),
    ],
)
def test_what_says_that_nothing_was_measured_is_a_marker(text):
    assert isinstance(read_cell(text), Marker)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("fast", "neither a number nor a marker"),
        ("12 parsecs", "'parsecs' is no unit that is known"),
        ("12 secnds", "did you mean 'seconds'"),
        ("10 m", "may be min, milli or M"),
        ("0,0296", "no number with decimal points"),
        ("1.2.3", "not three digits apart"),
        ("1,50,000", "not three digits apart"),
        ("3 5", "not three digits apart"),
        ("12 / 13", "more than one number"),
        ("12²", "more than one number"),
        ("1e999", "larger than a number can be"),
        ("9" * 120 + "e999", "too long"),
        ("9" * 400, "too long"),
        ("2^99999", "beyond what a number can be"),
        ("0^5", "says nothing"),
        ("1.5^2", "not whole"),
        ("12 ± x", "spread"),
        ("0.5e-320 ns", "smaller than a number can be"),
    ],
)
def test_what_is_neither_is_a_mistake_that_says_why(text, reason):
    cell = read_cell(text)
    assert isinstance(cell, Mistake), cell
    assert reason in cell.reason


def test_a_decimal_comma_is_read_where_the_table_has_them():
    assert value("0,0296", decimal=",") == 0.0296
    assert value("1.024", decimal=",") == 1024
    assert value("1.024") == 1.024
    assert value("1.024,5 ms", decimal=",") == pytest.approx(1.0245)
    assert isinstance(read_cell("12.5", decimal=","), Mistake)


def test_a_thousand_is_decimal_or_binary_as_the_table_says():
    cell = read_cell("4k")
    assert isinstance(cell, Number)
    assert (cell.value(), cell.value(thousand=1024)) == (4000, 4096)
    assert value("4Ki") == 4096
    # Bytes have a name for each.
    kilobytes = read_cell("4KB")
    assert isinstance(kilobytes, Number)
    assert kilobytes.value(thousand=1024) == 4000


def test_units_and_markers_can_be_told():
    assert value("4 KB", units={"KB": Decimal(1024)}) == 4096
    assert value("2 blocks", units={"blocks": Decimal(128)}) == 256
    assert read_cell("-1", markers=["-1"]) == Marker("-1")
    assert read_cell("see  TEXT", markers=["See text"]) == Marker("see  TEXT")
    assert read_cell("9999") == Number(Decimal(9999))


@given(st.text(max_size=2 * LONGEST) | st.text(alphabet=SIGNS, max_size=40), st.sampled_from([".", ","]))
@example("1" + "," * 100, ".")
@example("1 " * 59, ".")
@example("<" * 119, ".")
@example("1.1" * 40, ",")
@example("\\a" * 60, ".")
def test_no_text_ends_in_an_exception(text, decimal):
    cell = read_cell(text, decimal=decimal)
    if isinstance(cell, Number):
        assert math.isfinite(cell.value())
        assert math.isfinite(cell.value(thousand=1024))
    assert "\n" not in quote(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_that_python_writes_is_read_back(number):
    assert value(repr(number)) == number


@given(st.integers(min_value=1, max_value=10**15), st.sampled_from([",", " ", "'", "_", "\u202f", "\u00a0"]))
def test_separated_thousands_are_read_back(number, separator):
    assert value(f"{number:,}".replace(",", separator)) == number


@given(st.decimals(min_value=Decimal("0.0001"), max_value=Decimal(10**9), places=4))
def test_decimal_commas_are_read_back(number):
    assert value(str(number).replace(".", ","), decimal=",") == float(number)


@given(POSITIVE, st.sampled_from(["ns", "us", "ms", "s", "KB", "MiB", "GB", "TFLOP/s"]), st.sampled_from(["", " "]))
def test_a_unit_multiplies(number, unit, gap):
    known = find_unit(unit)
    assert known is not None
    expected = number * float(known.factor)
    cell = read_cell(f"{number!r}{gap}{unit}")
    if isinstance(cell, Number):
        assert cell.value() == expected
    else:
        assert isinstance(cell, Mistake)
        assert expected == 0 or math.isinf(expected)


@given(
    st.decimals(min_value=Decimal("0.001"), max_value=Decimal(10**6), places=3),
    st.sampled_from(
        ["**{}**", "`{}`", "<b>{}</b>", "\\textbf{{{}}}", "${}$", "{}†", "~{}", " {} ", "{}±1.5", "{} (2)"]
    ),
)
def test_decorations_change_nothing(number, decoration):
    assert value(decoration.format(number)) == float(number)


@given(st.integers(min_value=-1000, max_value=1000), st.sampled_from(["2^{}", "2**{}", "2^({})"]))
def test_powers_of_two_are_read_back(power, form):
    assert value(form.format(power)) == 2.0**power
