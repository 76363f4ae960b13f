"""A chapter of the page, and the words that all chapters share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.policy import DEFAULT
from reports import units

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.results.run import Run
    from reports.figures.figure import Figure
    from reports.figures.sweep import Sweep

# Rows of a table of findings; the table of cases has all of them.
ROWS_AT_MOST = 200
# What the problems beside attention are called in headings.
PROBLEM_TITLES = {"multihead": "Multi-head attention", "pooling": "Attention pooling", "varlen": "Packed sequences"}


@dataclass(frozen=True)
class Table:
    """A table with a caption; a long one is folded to its caption unless it `is_open`, as what a page is about is."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_open: bool = False


@dataclass(frozen=True)
class Section:
    """Some figures and tables under one heading.

    `name` is its entry in the list of contents, the title if empty. `more` are figures that open on demand; of a folded
    section one line is shown until a reader opens it.
    """

    title: str
    lead: str = ""
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    more: tuple[Figure, ...] = ()
    name: str = ""
    is_folded: bool = False

    @property
    def listed(self) -> str:
        """Return what the list of contents calls the section, empty if it has no heading."""
        return self.name or self.title

    @property
    def finding(self) -> str:
        """Return what the first figure shows, for the one line of a folded section."""
        return self.figures[0].finding if self.figures else ""


@dataclass(frozen=True)
class Chapter:
    """A chapter of the page; `lead` opens it."""

    id: str
    title: str
    lead: str
    sections: tuple[Section, ...] = ()

    @property
    def figures(self) -> list[Figure]:
        """Return every figure of the chapter in its order."""
        return [figure for section in self.sections for figure in (*section.figures, *section.more)]


def judging_band(run: Run) -> float:
    """Return the tolerance around a claimed exponent that a run was judged by."""
    return (run.plan.policy if run.plan else DEFAULT).scaling.band


def machine(run: Run) -> str:
    """Name the device a run was made on."""
    if run.plan and run.plan.device_name:
        return run.plan.device_name
    stable = run.environment.stable if run.environment else {}
    named = next((stable[name] for name in ("gpu", "cpu", "cpu_model", "device") if stable.get(name)), "")
    return str(named or (run.plan.device if run.plan else "unknown machine"))


def of_run(run: Run, title: str, runs: Sequence[Run]) -> str:
    """Add a run's name to a title if there are several."""
    return f"{title}: {run.label}" if len(runs) > 1 else title


def opened_first(sections: Iterable[Section]) -> tuple[Section, ...]:
    """Fold every section but the first."""
    return tuple(replace(section, is_folded=place > 0) for place, section in enumerate(sections))


def names_of(drawn: Sequence[Sweep]) -> dict[str, str]:
    """Name each sweep by its scenario and what tells it from the others of that scenario; by key."""
    named: dict[str, str] = {}
    for sweep in drawn:
        alike = [other for other in drawn if other.scenario == sweep.scenario]
        parts = [sweep.scenario]
        for field in ("run", "dtype", "direction", "cache", "device", "option", "line"):
            own = str(getattr(sweep, field))
            if own and any(getattr(other, field) != getattr(sweep, field) for other in alike):
                parts.append(own)
        named[sweep.key] = ", ".join(parts)
    return named


def heading(sweep: Sweep) -> str:
    """Return the question that a sweep answers, or its scenario's name."""
    return units.raised(sweep.question) or sweep.scenario


def made(figures: Iterable[Figure | None]) -> tuple[Figure, ...]:
    """Keep the figures that there was data for."""
    return tuple(figure for figure in figures if figure is not None)


def brief(reason: str, *, at_most: int = 400) -> str:
    """Shorten a reason in its middle."""
    return reason if len(reason) <= at_most else f"{reason[: at_most // 2]} … {reason[-at_most // 2 :]}"
