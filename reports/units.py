"""Numbers become text: seconds, bytes, operations and ratios with sensible digits and units."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# What stands where a figure is absent.
ABSENT = "–"  # noqa: RUF001  (an en dash is what a reader expects in an empty cell)
_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTES = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))
_DECIMAL = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_SUPERSCRIPTS = str.maketrans("0123456789.-", "⁰¹²³⁴⁵⁶⁷⁸⁹·⁻")

# A stage of a run that took a smaller share of its time is not named.
SHARE_NAMED = 0.01


class Quantity(str):
    """A number as a reader sees it, which still knows its value and the unit of that: 12.3 ms is 0.0123 s."""

    __slots__ = ("unit", "value")
    value: float
    unit: str

    def __new__(cls, text: str, value: float, unit: str = "") -> Self:
        """Hold a written number with the value that was written."""
        made = super().__new__(cls, text)
        made.value, made.unit = value, unit
        return made

    def __getnewargs__(self) -> tuple[str, float, str]:  # type: ignore[override]
        """Return what a copy is made of."""
        return str(self), self.value, self.unit


def digits(value: float, *, significant: int = 3) -> str:
    """Write a number with so many significant digits, without an exponent between 1e-4 and 1e7."""
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e7:  # noqa: PLR2004
        return f"{value:.{significant - 1}e}"
    # The rounded value decides: 0.999 is 1.0 with two digits, not 1.00.
    rounded = float(f"{value:.{significant - 1}e}")
    places = max(0, significant - 1 - math.floor(math.log10(abs(rounded))))
    return f"{value:,.{places}f}"


def short(value: float) -> str:
    """Write a number as briefly as three significant digits allow, for ticks: 1, 1.5, 20."""
    return f"{value:.3g}" if abs(value) < 1e5 else f"{value:.3e}"  # noqa: PLR2004


def absent(value: float | None) -> bool:
    """Tell whether there is no figure to write: None, NaN or an infinity."""
    return value is None or not math.isfinite(value)


def seconds(value: float | None, *, write: Callable[[float], str] = digits) -> str:
    """Write a time: 12.3 µs, 1.05 ms, 64.0 s."""
    return _scaled(value, _SECONDS, "s", write=write)


def duration(seconds: float) -> str:
    """Write a time for a log, in plain characters: 12.3 us, 1.05 ms, 64 s."""
    factor, unit = _step(seconds, ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")))
    return f"{seconds / factor:.3g} {unit}"


def split(stages: Mapping[str, float]) -> str:
    """Write where seconds went, by stage, the longest first; stages under a hundredth of the whole go together."""
    whole = sum(stages.values())
    shares = {stage: seconds / whole for stage, seconds in stages.items()} if whole > 0.0 else {}
    named = {stage: share for stage, share in shares.items() if share >= SHARE_NAMED and stage != "other"}
    rest = sum(shares.values()) - sum(named.values())
    ordered = [*sorted(named.items(), key=lambda item: -item[1]), *([("other", rest)] if rest > 0.0 else [])]
    return ", ".join(f"{stage} {share:.0%}" for stage, share in ordered)


def clock(seconds: float | None) -> str:
    """Write seconds as m:ss, for the time left; -:-- if it is unknown."""
    return "-:--" if seconds is None else f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def size(value: float | None, *, write: Callable[[float], str] = digits) -> str:
    """Write a number of bytes in powers of 1024."""
    return _scaled(value, _BYTES, "B", write=write)


def count(value: float | None, unit: str, *, write: Callable[[float], str] = digits) -> str:
    """Write a quantity with a decimal prefix: 12.3 GFLOP, 64.0 GFLOP/s."""
    if absent(value):
        return ABSENT
    number = float(value or 0.0)
    factor, prefix = _step(number, _DECIMAL)
    return Quantity(f"{write(number / factor)} {prefix}{unit}".strip(), number, unit)


def ratio(value: float | None) -> str:
    """Write a factor: 5.41x."""
    number = float(value or 0.0)
    return ABSENT if absent(value) else Quantity(f"{digits(number)}×", number)  # noqa: RUF001


def ratio_tick(value: float) -> str:
    """Write a factor on an axis: 2x, 0.5x."""
    return f"{value:g}×"  # noqa: RUF001


def percent(value: float | None) -> str:
    """Write a share as a percentage."""
    share = float(value or 0.0)
    return ABSENT if absent(value) else Quantity(f"{digits(100 * share, significant=2)} %", share)


def fact(name: str, value: object) -> str:
    """Write a fact of an environment: lists without brackets, yes and no, bytes with their unit."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ({}, []):
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {fact(name, item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(fact("", item) for item in value)
    if isinstance(value, int | float) and (name.endswith("bytes") or name == "cpu_caches"):
        return size(value)
    return digits(value) if isinstance(value, float) else str(value)


def sensor(name: str, value: float | None) -> tuple[str, str]:
    """Name a figure of telemetry and write it with its unit: `power_w_low`, 61.2 -> power, lowest; 61.2 W."""
    stem, _, end = name.rpartition("_")
    extreme = {"low": ", lowest", "high": ", highest"}.get(end, "")
    stem = stem if extreme else name
    for suffix, unit in _SENSOR_UNITS:
        if stem.endswith(suffix):
            words = stem.removesuffix(suffix).replace("_", " ")
            written = (
                count(value, unit)
                if unit == "FLOP/s"
                else ABSENT
                if absent(value)
                else f"{digits(value or 0.0)} {unit}"
            )
            return f"{words}{extreme}", written
    words = stem.replace("_", " ").replace("utilization", "utilisation")
    if "utilization" in stem or "share" in stem or re.fullmatch(r"core_\d+", stem):
        return f"{words}{extreme}", percent(value)
    return f"{words}{extreme}", ABSENT if absent(value) else digits(value or 0.0)


# What the ends of telemetry's names mean, longer ones first.
_SENSOR_UNITS = (
    ("_j_per_tflop", "J per TFLOP"), ("_flops", "FLOP/s"), ("_mhz", "MHz"), ("_w", "W"), ("_c", "°C"), ("_j", "J"),
    ("_s", "s"),
)  # fmt: skip


def whole_percent(value: float) -> str:
    """Write a share that is a setting, not a measurement: 5 %, 1.5 %."""
    return f"{100 * value:g} %"


def change(factor: float) -> str:
    """Write a factor as what it adds or takes away: +3.2 %, −12 %."""  # noqa: RUF002
    share = 100 * (factor - 1)
    return f"{'+' if share >= 0 else '−'}{digits(abs(share), significant=2)} %"  # noqa: RUF001


def plain(value: float | None) -> str:
    """Write a number, an integer without a point."""
    if absent(value):
        return ABSENT
    number = float(value or 0.0)
    text = f"{number:,.0f}" if number == int(number) and abs(number) < 1e7 else digits(number)  # noqa: PLR2004
    return Quantity(text, number)


def power(value: float | None) -> str:
    """Write an exponent raised, as ² or ¹·⁹⁸; nothing for 1."""
    if absent(value):
        return ""
    rounded = round(float(value or 0.0), 2)
    if rounded == 1:
        return ""
    return (f"{rounded:.0f}" if rounded.is_integer() else f"{rounded:.2f}").translate(_SUPERSCRIPTS)


def raised(text: str) -> str:
    """Write the powers in a text as superscripts: n^2 d becomes n² d."""
    exponent = r"-?\d+(?:\.\d+)?"
    return re.sub(rf"\^(?:\(({exponent})\)|({exponent}))", lambda of: (of[1] or of[2]).translate(_SUPERSCRIPTS), text)


def interval(low: float | None, high: float | None) -> str:
    """Write an interval of exponents, empty if there is none."""
    return "" if absent(low) or absent(high) else f"{low:.2f} to {high:.2f}"


def listing(names: Sequence[str]) -> str:
    """Join names as a sentence does."""
    if len(names) < 2:  # noqa: PLR2004
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def counted(number: int, noun: str) -> str:
    """Write a number of things: 1 case, 12 cases."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _scaled(
    value: float | None, scale: tuple[tuple[float, str], ...], unit: str, *, write: Callable[[float], str]
) -> str:
    if absent(value):
        return ABSENT
    number = float(value or 0.0)
    factor, written = _step(number, scale)
    return Quantity(f"{write(number / factor)} {written}", number, unit)


def _step(number: float, scale: tuple[tuple[float, str], ...]) -> tuple[float, str]:
    """Choose the largest unit in which three digits of a number are one or more: 999,999 is 1.00 M, not 1,000 k."""
    return next((step for step in scale if float(f"{abs(number) / step[0]:.2e}") >= 1.0), scale[-1])
