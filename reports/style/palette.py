"""One colour and one marker per implementation, and the colours of the furniture, for light and dark pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Theme = Literal["light", "dark"]
# Colours of the drawing's furniture; each becomes a variable of the page, so that dark mode needs no second drawing.
INK, MUTED, LINE, PAPER, ALARM = "#1b2126", "#59636e", "#dfe3e8", "#fefefe", "#b3261e"
FURNITURE = {INK: "--ink", MUTED: "--muted", LINE: "--line", PAPER: "--paper", ALARM: "--bad"}
# The same on dark pages, as the style sheet of the page has them.
DARK_FURNITURE = {
    "--ink": "#e6eaee",
    "--muted": "#9ba6b1",
    "--line": "#2c333a",
    "--paper": "#14181c",
    "--bad": "#ff9b90",
}
# Twelve colours distinct under each common colour blindness (after Okabe & Ito 2008 and Tol's "muted" scheme),
# darkened to a contrast of 3:1 on white; the second of each pair is lightened for dark pages.
PALETTE = (
    ("#0072b2", "#5aaeea"),
    ("#d55e00", "#ff8f45"),
    ("#00875f", "#35c99d"),
    ("#b0478f", "#e58fca"),
    ("#2590c8", "#9ad8ff"),
    ("#a87900", "#efb43f"),
    ("#882255", "#e07fa8"),
    ("#66701a", "#c3cb52"),
    ("#555c64", "#b6bec8"),
    ("#43349b", "#a79cf5"),
    ("#127f86", "#62ccd2"),
    ("#8a5446", "#cf9f8f"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "h", ">", "p", "*")
# Slots of the implementations that ship, so that a colour means the same in every report.
_SLOTS = {
    "sdpa-flash": 0,
    "batched": 1,
    "online": 2,
    "sdpa-math": 3,
    "sdpa-auto": 4,
    "einsum": 5,
    "flex": 6,
    "sdpa-cudnn": 7,
    "loop": 8,
    "sdpa-efficient": 10,
    "d2l": 1,
    "torch-module": 0,
    "average": 8,
    "nadaraya-watson": 2,
    "learned": 3,
}


@dataclass(frozen=True)
class Appearance:
    """What an implementation looks like in every figure."""

    slot: int
    color: str
    marker: str
    filled: bool


def looks(names: Iterable[str]) -> dict[str, Appearance]:
    """Give each implementation its colour and marker; the same names always get the same ones."""
    ordered = sorted(set(names))
    taken = {_SLOTS[name] for name in ordered if name in _SLOTS}
    free = [slot for slot in range(len(PALETTE)) if slot not in taken] or list(range(len(PALETTE)))
    found: dict[str, Appearance] = {}
    strangers = 0
    for name in ordered:
        filled = True
        if name in _SLOTS:
            slot = _SLOTS[name]
        else:
            slot = free[strangers % len(free)]
            filled = strangers < len(free)
            strangers += 1
        found[name] = Appearance(slot=slot, color=PALETTE[slot][0], marker=MARKERS[slot], filled=filled)
    return found


def colors_of(colors: Mapping[str, Appearance], names: Iterable[str]) -> dict[str, str]:
    """Return the colours of those names that are drawn, as seaborn takes them."""
    return {name: colors[name].color for name in dict.fromkeys(names)}


def markers_of(colors: Mapping[str, Appearance], names: Iterable[str]) -> dict[str, str]:
    """Return the markers of those names that are drawn, as seaborn takes them."""
    return {name: colors[name].marker for name in dict.fromkeys(names)}


def variables() -> str:
    """Write the palette as CSS variables, for light and dark pages."""
    light = "".join(f"--c{slot}:{pair[0]};" for slot, pair in enumerate(PALETTE))
    dark = "".join(f"--c{slot}:{pair[1]};" for slot, pair in enumerate(PALETTE))
    return (
        f":root{{{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}"
    )


def theme_colors(theme: Theme) -> dict[str, str]:
    """Return the colour of each variable that a drawing may name, for light or dark paper."""
    place = 0 if theme == "light" else 1
    furniture = {name: color for color, name in FURNITURE.items()} | {"--paper": "#ffffff"}
    slots = {f"--c{slot}": pair[place] for slot, pair in enumerate(PALETTE)}
    return slots | (furniture if theme == "light" else DARK_FURNITURE)
