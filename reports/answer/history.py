"""A history in words: what changed for good, when, under which software, and what is missing today."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import units

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.comparing.history import Change, History, Machine, Trend
    from harness.records import Case

# Lines that a terminal is given of each kind; the page and the JSON have all.
LINES_AT_MOST = 20
COMMIT_CHARACTERS = 12


def headline(found: History) -> str:
    """Say how much history there is, and how many cases changed in it."""
    runs = sum(len(machine.runs) for machine in found.machines)
    cases = sum(len(machine.trends) for machine in found.machines)
    changed = sum(bool(trend.changes) for machine in found.machines for trend in machine.trends)
    where = f" on {units.counted(len(found.machines), 'machine')}" if len(found.machines) > 1 else ""
    return f"{units.counted(runs, 'run')}{where}, {units.counted(cases, 'case')}: {changed:,} changed for good."


def lines(found: History) -> Iterator[str]:
    """Yield a terminal's lines: for each machine its changes, newest first, and what is missing."""
    yield headline(found)
    for machine in found.machines:
        if len(found.machines) > 1:
            yield f"{machine.name}: {units.counted(len(machine.runs), 'run')}"
        changes = newest(machine)
        yield from (f"  {change_line(machine, *one)}" for one in changes[:LINES_AT_MOST])
        if len(changes) > LINES_AT_MOST:
            yield f"  and {units.counted(len(changes) - LINES_AT_MOST, 'more change')}"
        gone = [trend for trend in machine.trends if trend.missing]
        yield from (f"  missing today: {name(one.case)}: {one.missing}" for one in gone[:LINES_AT_MOST])
        if (more := len(gone) - LINES_AT_MOST) > 0:
            yield f"  and {more:,} more {'is' if more == 1 else 'are'} missing today"


def newest(machine: Machine) -> list[tuple[Trend, Change]]:
    """Return all changes, the newest first, and of one run the worst first."""
    every = [(trend, change) for trend in machine.trends for change in trend.changes]
    return sorted(every, key=lambda one: (-one[1].run, -one[1].factor))


def change_line(machine: Machine, trend: Trend, change: Change) -> str:
    """Say which case changed, how, and where."""
    return f"{name(trend.case)}: {change_words(machine, change)}"


def change_words(machine: Machine, change: Change) -> str:
    """Say how a case changed, and in which run."""
    word = "slower" if change.factor > 1 else "faster"
    span = f"{change.low:.3g} to {change.high:.3g}"
    return f"{units.ratio(change.factor)} ({span}), {word} since {run_words(machine, change.run)}" + (
        ", with a changed source" if change.has_new_source else ""
    )


def run_words(machine: Machine, place: int) -> str:
    """Name a run with its day, its commit, and the software that was new in it."""
    run = machine.runs[place]
    parts = [
        run.created[:10],
        f"commit {_short(run.commit)}" if run.commit else "",
        software(machine, place),
    ]
    known = ", ".join(part for part in parts if part)
    return f"{run.name} ({known})" if known else run.name


def _short(commit: str) -> str:
    """Shorten a commit, and keep the mark of one whose files were changed."""
    return commit[:COMMIT_CHARACTERS] + ("+" if commit[COMMIT_CHARACTERS:].endswith("+") else "")


def software(machine: Machine, place: int) -> str:
    """Name the software that a run had and the one before it had not; empty for the first."""
    if place == 0:
        return ""
    before, now = machine.runs[place - 1].software, machine.runs[place].software
    changed = [fact for fact in sorted({*before, *now}) if before.get(fact) != now.get(fact)]
    return ", ".join(f"{fact} {units.fact(fact, now.get(fact))}" for fact in changed)


def name(case: Case) -> str:
    """Name a case by implementation, point, dtype and direction."""
    return case.label
