"""One cell of anybody's table: text -> a number with its unit, a marker of nothing measured, or a mistake.

Reads what people write: `2.82s`, `1.3 GiB`, `8,192`, `0,0296`, `4k`, `2^10`, `26. 4`, `107.12±15.1`, `**12.3**`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from harness.tables.markers import FIRST_WORD, FIRST_WORDS, is_bound, is_marker
from harness.tables.units import (
    BINARY_THOUSAND,
    DECIMAL_THOUSAND,
    NO_UNIT,
    NOTHING_DEFINED,
    SECOND,
    Unit,
    explain_unknown,
    find_unit,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

DecimalMark = Literal[".", ","]

# Longer cells are prose; the limit also bounds what the expressions below cost.
LONGEST = 120
# Powers beyond what a float holds: 2^1024 and 10^309.
POWER_AT_MOST = 1100
SHOWN = 40

PLAIN = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?)(?: ?([A-Za-z%/]+))?")
MINUS = str.maketrans({"−": "-", "‐": "-", "‑": "-", "–": "-", "—": "-", "﹣": "-", "⁻": "-"})
SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
RAISED = re.compile(r"[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
# Raised digits are a power of 2 or 10; after any other number they may as well be a footnote.
BASE_RAISED = re.compile(rf"(?:(?<=10)|(?<=2))(?<![0-9.,]10)(?<![0-9.,]2){RAISED.pattern}")
TAG_RAISED = re.compile(r"<sup>\s*([^<]*?)\s*</sup>", re.IGNORECASE)
TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
TEX_WORDS = (("\\pm", "±"), ("\\times", "×"), ("\\cdot", "·"), ("\\,", " "), ("\\;", " "), ("{,}", ","), ("\\%", "%"))
TEX_COMMAND = re.compile(r"\\[a-zA-Z]+\s*")
LINK = re.compile(r"\[([^\[\]]*)\]\([^()]*\)")
STRUCK = re.compile(r"~~.+~~|<(?:s|del|strike)>.+", re.DOTALL)
ORNAMENTS = "*_`~†‡§¶#'\"’“”$"
APPROXIMATELY = re.compile(r"(?:~|≈|∼|≃|ca\.?|approx\.?|about)\s*(?=[0-9.,+-])", re.IGNORECASE)

BODY = r"(?:[0-9]+(?:[ ,.'’_][0-9]+)*[.,]?|[.,][0-9]+)"
NUMBER = re.compile(
    rf"(?P<sign>[+-]?)\s?(?P<body>{BODY})"
    r"(?:[eE](?P<e>[+-]?[0-9]{1,4})(?![0-9])|\s?[×x*·⋅]\s?10\s?(?:\^|\*\*)\s?\(?(?P<ten>[+-]?[0-9]{1,4})\)?)?"
    r"(?:\s?(?:\^|\*\*)\s?\(?(?P<power>[+-]?[0-9]{1,5})\)?)?"
)
SPREAD = re.compile(rf"\s?(?:±|\+/-|\+-)\s?{BODY}(?:[eE][+-]?[0-9]+)?\s?(?P<unit>[^\s(]*)")
CLOCK = re.compile(r"(?:([0-9]+)\s?h)?\s?(?:([0-9]+)\s?m(?:in)?)?\s?(?:([0-9]+(?:[.,][0-9]+)?)\s?s)?")
REMARK = re.compile(r"\s?[(\[](?P<text>[^()\[\]]*)[)\]]$")
PER_LOOP = re.compile(r"\s?(?:per|/)\s?(?:loop|call|iteration|iter|step|run)$")
GAP_BEFORE_MARK = re.compile(r"(?<=[0-9]) +(?=[.,][0-9])|(?<=[0-9][.,]) +(?=[0-9])")


@dataclass(frozen=True)
class Number:
    """Hold a number as it is written, in its unit."""

    amount: Decimal
    unit: Unit = NO_UNIT

    def exactly(self) -> tuple[Fraction, Fraction]:
        """Return the number, and one in the last place that is written, without rounding; a bare `k` is 1000."""
        exponent = self.amount.as_tuple().exponent
        step = Decimal((0, (1,), exponent if isinstance(exponent, int) else 0))
        scale = Fraction(self.unit.scale(thousand=DECIMAL_THOUSAND))
        return Fraction(self.amount) * scale, Fraction(step) * scale

    def value(self, *, thousand: int = 1000) -> float:
        """Return the number in seconds, bytes or the like; a bare `k` counts as `thousand`."""
        return float(self.amount) * float(self.unit.scale(thousand=thousand))


@dataclass(frozen=True)
class Marker:
    """Hold the text of a cell that says that nothing was measured."""

    text: str


@dataclass(frozen=True)
class Mistake:
    """Hold why a cell is neither a number nor a marker, as what follows the quoted cell in a sentence."""

    reason: str


Cell = Number | Marker | Mistake


def read_cell(
    text: str,
    *,
    decimal: DecimalMark = ".",
    markers: Collection[str] = (),
    units: Mapping[str, Decimal] = NOTHING_DEFINED,
) -> Cell:
    """Read one cell, whatever it holds; never raises.

    `decimal` is the table's decimal mark; the other one separates thousands. A cell that shows both is read by itself.
    `markers` are texts that mean nothing measured, beside the usual ones; `units` are factors of further units.
    """
    raw = text.strip()
    if markers and is_marker(raw, more=markers):
        return Marker(raw)
    if len(raw) > LONGEST:
        return Marker(quote(raw)) if is_marker(raw[:LONGEST].strip(ORNAMENTS)) else Mistake("is too long for a number")
    plain = PLAIN.fullmatch(raw) if decimal == "." else None
    if plain is not None and (unit := find_unit(plain.group(2) or "", defined=units)) is not None:
        return _number(Decimal(plain.group(1)), unit=unit)
    bare = undecorate(raw)
    if is_marker(raw) or is_marker(bare) or STRUCK.fullmatch(raw):
        return Marker(raw)
    if is_bound(bare):
        bound = _read(bare.lstrip("<>=≤≥≪≫ "), decimal=decimal, units=units)
        return Marker(raw) if isinstance(bound, Number) else bound
    return _read(bare, decimal=decimal, units=units)


def undecorate(text: str) -> str:
    """Return a cell without what typesets it: Markdown, HTML, TeX, ornaments at its ends, odd blanks and dashes."""
    text = TAG.sub("", TAG_RAISED.sub(r"^\1", text))
    text = RAISED.sub(r"^^\g<0>", BASE_RAISED.sub(lambda found: "^" + found.group().translate(SUPERSCRIPT), text))
    text = LINK.sub(r"\1", unicodedata.normalize("NFKC", text).translate(MINUS))
    for word, sign in TEX_WORDS:
        text = text.replace(word, sign)
    text = TEX_COMMAND.sub("", text).replace("{", "").replace("}", "")
    text = "".join(" " if sign.isspace() else sign for sign in text if sign.isspace() or _is_shown(sign))
    text = " ".join(text.split())
    if any(sign.isdigit() for sign in text):
        text = "".join(sign for sign in text if unicodedata.category(sign) not in {"So", "Mn"})
        text = text.strip(" ↑↓↗↘→▲▼✓")
        return text.removeprefix("=").lstrip(ORNAMENTS + " ").rstrip(ORNAMENTS + " ")
    return text.strip(ORNAMENTS + " ") or text


def quote(text: str) -> str:
    """Return a cell's text for a message, on one line and cut where it is long."""
    text = " ".join(text.split())
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 3] + "...")


def _is_shown(sign: str) -> bool:
    return unicodedata.category(sign) not in {"Cc", "Cf", "Cs", "Co", "Cn"}


def _read(text: str, *, decimal: DecimalMark, units: Mapping[str, Decimal]) -> Cell:
    """Read a number with what may follow it: a power, a spread, a unit, a remark in brackets."""
    text = APPROXIMATELY.sub("", text, count=1) if APPROXIMATELY.match(text) else text
    text = GAP_BEFORE_MARK.sub("", text)
    if (clock := _clock(text)) is not None:
        return clock
    found = NUMBER.match(text)
    if found is None:
        return Mistake("is neither a number nor a marker of nothing measured")
    amount = _amount(found, decimal=decimal)
    if isinstance(amount, Mistake):
        return amount
    rest = text[found.end() :]
    remark = REMARK.search(rest)
    if remark is not None:
        word = FIRST_WORD.match(remark.group("text").strip().casefold())
        if word is not None and word.group() in FIRST_WORDS:
            return Marker(text)
        rest = rest[: remark.start()]
    return _with_unit(amount, rest, units=units)


def _with_unit(amount: Decimal, rest: str, *, units: Mapping[str, Decimal]) -> Cell:
    """Return a number with the unit that stands behind it, before or after its spread."""
    rest = PER_LOOP.sub("", rest.strip())
    spread = re.search(r"±|\+/-|\+-", rest)
    if spread is not None:
        before, found = rest[: spread.start()].strip(), SPREAD.fullmatch(rest[spread.start() :])
        if found is None:
            return Mistake("has a spread that is no number")
        after = found.group("unit")
        # A spread in per cent is relative to the number.
        rest = before or ("" if after == "%" else after)
    unit = find_unit(rest.strip(), defined=units)
    if unit is None:
        return Mistake(_unknown(rest.strip()))
    return _number(amount, unit=unit)


def _unknown(rest: str) -> str:
    if any(sign.isdigit() for sign in rest):
        return "is more than one number"
    return f"is neither a number nor a marker: {explain_unknown(rest)}"


def _number(amount: Decimal, *, unit: Unit) -> Cell:
    value = float(amount)
    size = value if unit is NO_UNIT else value * float(unit.scale(thousand=BINARY_THOUSAND))
    if not math.isfinite(size):
        return Mistake("is larger than a number can be")
    if amount and size == 0.0:
        return Mistake("is smaller than a number can be")
    return Number(amount, unit)


def _amount(found: re.Match[str], *, decimal: DecimalMark) -> Decimal | Mistake:
    body = found.group("body")
    digits = plain_digits(body, decimal=decimal)
    if digits is None:
        return Mistake(_strange(body, decimal=decimal))
    sign, power = found.group("sign"), found.group("power")
    exponent = found.group("e") or found.group("ten")
    if power is None:
        return Decimal(f"{sign}{digits}e{exponent or 0}")
    if exponent is not None or "." in digits:
        return Mistake("is a power of something that is not whole")
    base, power_of = int(digits), int(power)
    if base > 1 and abs(power_of) * math.log2(base) > POWER_AT_MOST:
        return Mistake("is a power beyond what a number can be")
    if base == 0 or abs(power_of) > POWER_AT_MOST:
        return Mistake("is a power that says nothing")
    amount = Decimal(base**power_of) if power_of >= 0 else Decimal(1) / Decimal(base**-power_of)
    return -amount if sign == "-" else amount


def plain_digits(body: str, *, decimal: DecimalMark) -> str | None:
    """Return digits with at most a point, from a body with separators; None if these are misplaced.

    A mark that occurs twice, or before the other one, separates thousands, whatever the table's decimal mark is.
    """
    body = body.rstrip(".,") if body[:1].isdigit() else body
    whole, fraction = body, ""
    dots, commas = body.count("."), body.count(",")
    if dots and commas:
        mark = "." if body.rindex(".") > body.rindex(",") else ","
    elif dots + commas == 1:
        mark = decimal if decimal in body else ""
    else:
        mark = ""
    if mark:
        if body.count(mark) > 1:
            return None
        whole, _, fraction = body.partition(mark)
    if not fraction.isdigit() and fraction:
        return None
    return _joined(whole, fraction)


def _joined(whole: str, fraction: str) -> str | None:
    """Return a whole part without its separators, all of one kind and three digits apart, before its fraction."""
    separators = {sign for sign in whole if not sign.isdigit()}
    groups = re.split(r"[ ,.'’_]", whole)
    if separators and not _grouped(groups, separators):
        return None
    digits = "".join(groups) or "0"
    return f"{digits}.{fraction}" if fraction else digits


def _grouped(groups: list[str], separators: set[str]) -> bool:
    first, *others = groups
    sound = len(separators) == 1 and all(len(group) == 3 for group in others)  # noqa: PLR2004
    return sound and 1 <= len(first) <= 3 and (first[0] != "0")  # noqa: PLR2004


def _strange(body: str, *, decimal: DecimalMark) -> str:
    other: DecimalMark = "," if decimal == "." else "."
    if plain_digits(body, decimal=other) is not None:
        return f"is no number with decimal {'points' if decimal == '.' else 'commas'} (--decimal {other!r})"
    return "is no number: its separators are not three digits apart"


def _clock(text: str) -> Number | None:
    """Read hours, minutes and seconds in a row, as `time` prints them: 0m2.820s, 1 h 2 min 3 s."""
    found = CLOCK.fullmatch(text)
    if found is None or sum(part is not None for part in found.groups()) < 2:  # noqa: PLR2004
        return None
    hours, minutes, seconds = (Decimal((part or "0").replace(",", ".")) for part in found.groups())
    return Number(hours * 3600 + minutes * 60 + seconds, SECOND)
