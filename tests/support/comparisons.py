"""Sides of a comparison, drawn: cases of several implementations with the scatter that runs show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.comparing.compare import compare
from harness.comparing.history import History, Machine, Moment, Trend
from harness.comparing.results import Changes, Compared
from harness.comparing.snapshot import Figures, Snapshot
from harness.policy import ComparisonPolicy
from harness.stats.control import locate
from tests.support import runs

if TYPE_CHECKING:
    from collections.abc import Callable

# Deviations of log time between rounds, and between processes; the latter is what the policy allows for.
ROUND, PROCESS = 0.03, 0.015
NAMES = ("batched", "einsum", "online", "sdpa-math", "sdpa-flash", "sdpa-auto")
MACHINE = {"cpu": "Synthetic CPU, 2 cores", "threads": 2, "torch": "2.13.0+cpu"}


def case(implementation: str = "batched", *, seconds: float = 1e-3, width: float = 0.02, **known: Any) -> Figures:
    """Return a case at n = 64 unless `point` says another, with an interval of this half-width in log time."""
    point = known.pop("point", {"n": 64, "d": 64, "heads": 2, "batch": 1})
    timed = {"seconds": seconds, "low": seconds * np.exp(-width), "high": seconds * np.exp(width)}
    figures = {"status": "ok", "statistic": "lower quartile", "rounds": 20, "operations": 1000, "attended": 100,
               "inputs": 4096, "extra_bytes": 2048, "error": 0.5, **timed}  # fmt: skip
    if known.get("status", "ok") != "ok":
        figures |= dict.fromkeys((*timed, "operations", "attended", "inputs", "extra_bytes", "error"))
    return Figures.model_validate({"case": runs.ok_case(implementation, **point), **figures, **known})


def at(n: int, implementation: str = "batched", **known: Any) -> Figures:
    """Return a case at another n."""
    return case(implementation, point={"n": n, "d": 64, "heads": 2, "batch": 1}, **known)


def compared(new: Figures | None, *, base: Figures | None = None, **known: Any) -> Compared:
    """Return a case as a comparison has it: the same on both sides unless told, and not comparable for a reason."""
    found = new or base
    assert found is not None
    outcome = "not comparable" if known.get("reason") else "same"
    return Compared.model_validate({"case": found.case, "base": base, "new": new, "outcome": outcome} | known)


def changes_of(*cases: Compared, **known: Any) -> Changes:
    """Return a comparison with these outcomes."""
    limits = {"effect_at_least": 0.03, "same_within": 0.05, "false_discoveries": 0.05}
    return Changes.model_validate({"base": "before", "new": "after", "cases": list(cases)} | limits | known)


def side(cases: list[Figures], *, name: str = "run", **known: Any) -> Snapshot:
    """Return a snapshot of cases on the synthetic machine."""
    return Snapshot.model_validate(
        {"name": name, "stable": MACHINE, "process_deviation": PROCESS, "cases": cases} | known
    )


def only(base: Figures | None, new: Figures | None, **machine: Any) -> Compared:
    """Compare two sides of one case each."""
    changes = compare(side([base] if base else []), side([new] if new else [], **machine), policy=ComparisonPolicy())
    assert len(changes.cases) == 1
    return changes.cases[0]


def drawn(
    *,
    seed: int,
    sizes: int = 10,
    rounds: int = 20,
    process: float = PROCESS,
    shift: float = 0.0,
    effect: Callable[[str, int], float] = lambda _name, _place: 0.0,
    digests: dict[str, str] | None = None,
    **known: Any,
) -> Snapshot:
    """Draw a run: each case has a level of its own, what its process adds, and rounds; `effect`, `shift` are logs."""
    rng = np.random.default_rng(seed)
    cases = []
    for name in NAMES:
        for place in range(sizes):
            level = -8.0 + 0.5 * place + shift + effect(name, place) + rng.normal(0, process)
            found = locate(level + rng.normal(0, ROUND, rounds), between=PROCESS)
            point = {"n": 64 * (place + 1), "d": 64, "heads": 2, "batch": 1}
            cases.append(
                case(
                    name, seconds=found.value, point=point, rounds=rounds, digest=(digests or {}).get(name, "")
                ).model_copy(update={"low": found.low, "high": found.high})
            )
    return side(cases, **known)


def moment(day: int, **known: Any) -> Moment:
    """Return a run of a history, made on this day of a month."""
    return Moment(name=f"day {day}", created=f"2026-01-{day + 1:02}T08:00:00+00:00", **known)


def trend(implementation: str, *, n: int = 64, count: int = 4, **known: Any) -> Trend:
    """Return a case over so many runs, in all of which it takes a millisecond."""
    seconds = known.pop("seconds", [1e-3] * count)
    ends = {end: [one and factor * one for one in seconds] for end, factor in (("low", 0.99), ("high", 1.01))}
    point = {"n": n, "d": 64, "heads": 2, "batch": 1}
    return Trend(**{"case": runs.ok_case(implementation, **point), "seconds": seconds, **ends, **known})


def machine_of(*trends: Trend, name: str = "CPU", count: int = 4, **known: Any) -> Machine:
    """Return a machine of a history with its cases over so many runs, a day apart."""
    runs_ = known.pop("runs", [moment(day) for day in range(count)])
    return Machine(name=name, stable=MACHINE, runs=runs_, trends=list(trends), **known)


def history_of(*machines: Machine, base: str = "") -> History:
    """Return a history of machines."""
    return History(base=base, effect_at_least=0.03, machines=list(machines))
