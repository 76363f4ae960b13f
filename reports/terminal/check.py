"""The result of `attnbench check` for a terminal, with the command that repeats each failure."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from typing import TYPE_CHECKING

from reports.text import styled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from harness.records import ProbeOutcome
    from harness.runner.check import Report


# Reasons for not asking that are shown one by one.
REASONS = 4
# What the author of a kernel with honest limits has to know.
DECLARING = (
    "a limit is declared, not a mistake: leave the feature out of `supports`, or, for sizes, "
    '`raise NotImplementedError("head size must be 64 or 128")`; such probes are not asked'
)


def render(report: Report, console: Console, *, impl_files: Sequence[str | Path] = ()) -> None:
    """Print a table of implementations by dtype, then each first failure and the command that reproduces it."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"Agreement with the float64 oracle: {report.problem} on {report.device}", title_justify="left")
    for heading in ("implementation", "dtype", "result", "probes", "largest error / budget", "in"):
        table.add_column(heading, justify="right" if heading in {"probes", "largest error / budget"} else "left")
    failures = []
    for (name, dtype), outcomes in by_implementation(report.outcomes).items():
        bad = [outcome for outcome in outcomes if outcome.status not in {"ok", "unsupported"}]
        ratios = [(o.agreement.ratio, o.title) for o in outcomes if o.agreement is not None and o.agreement.ratio]
        ratio, title = max(ratios, default=(None, ""))
        passed, asked = (sum(o.status == "ok" for o in outcomes), sum(o.status != "unsupported" for o in outcomes))
        good = styled("approximate", "yellow") if approximations([*outcomes]) else styled("agrees", "green")
        nothing = styled("nothing asked", "yellow") if not asked else good
        result = styled(bad[0].status, "red") if bad else nothing
        largest = "" if ratio is None else f"{ratio:.3g}"
        table.add_row(styled(name), dtype, result, f"{passed}/{asked}", largest, styled(title))
        failures += bad[:1]
    console.print(table)
    for missing in report.unavailable:
        console.print(Text.assemble(styled("unavailable", "yellow"), styled(f" {missing.name}: {missing.reason}")))
    for outcome in failures:
        said = f" {outcome.implementation} {outcome.dtype}, {outcome.title}: {outcome.reason}"
        console.print(Text.assemble(styled(outcome.status, "red"), styled(said)))
        again = reproduction(outcome, problem=report.problem, impl_files=impl_files)
        console.print(styled(f"  again: {again}"), soft_wrap=True)
    if any(is_exception(outcome) for outcome in failures):
        console.print(styled(f"  {DECLARING}"), soft_wrap=True)
    for sentence in closing(report):
        console.print(styled(sentence), soft_wrap=True)


def is_exception(outcome: ProbeOutcome) -> bool:
    """Tell whether an outcome is an exception of Python, not a signal or a time limit."""
    return outcome.status == "crashed" and re.match(r"\w*(Error|Exception)\b", outcome.reason) is not None


def closing(report: Report) -> list[str]:
    """Say how many probes were not asked and why, and up to which length the rest looked."""
    if not any(outcome.status != "unsupported" for outcome in report.outcomes):
        why = "what was chosen supports none of the probes" if report.outcomes else "no probe or dtype was left to ask"
        return [f"nothing was asked: {why}", *not_asked(report)]
    return [
        *not_asked(report),
        *on_few_shapes(report),
        *approximations(report.outcomes),
        f"looked at lengths up to {report.longest}; a run checks each case at its own",
    ]


def approximations(outcomes: Sequence[ProbeOutcome]) -> list[str]:
    """Return a line for each approximate implementation and dtype: its errors at their worst, and where."""
    lines = []
    for (name, dtype), of_one in by_implementation(outcomes).items():
        found = [(o.agreement.approximation, o.title) for o in of_one if o.agreement and o.agreement.approximation]
        if not found:
            continue
        cosine, at = min((errors.cosine, title) for errors, title in found)
        largest = ", ".join(
            f"{words} {max(getattr(errors, field) for errors, _ in found):.3g}"
            for field, words in (("relative_l1", "relative L1"), ("rmse", "RMSE"), ("largest", "largest error"))
        )
        lines.append(f"{name} {dtype} is approximate; at worst: cosine similarity {cosine:.4g} ({at}), {largest}")
    return lines


def on_few_shapes(report: Report) -> list[str]:
    """Return a line for each implementation that compiles for each shape: what it was asked in each dtype."""
    asked: dict[str, list[str]] = {}
    for few in report.few:
        what = f"{few.probes} of {few.of_probes} probes, at {few.points} of {few.of_points} points"
        asked.setdefault(few.implementation, []).append(f"{what}, in {few.dtype}")
    return [
        f"{name} compiles for each shape and was asked {'; '.join(parts)}; --all asks every one"
        for name, parts in asked.items()
    ]


def not_asked(report: Report) -> list[str]:
    """Return a line for each implementation that was not asked all probes, with the reasons that most had."""
    reasons: dict[str, Counter[str]] = {}
    totals: Counter[str] = Counter()
    for outcome in report.outcomes:
        totals[outcome.implementation] += 1
        if outcome.status == "unsupported":
            reasons.setdefault(outcome.implementation, Counter())[outcome.reason] += 1
    lines = []
    for name, counts in reasons.items():
        words = [f"{count} {reason}" for reason, count in counts.most_common(REASONS)]
        rest = counts.total() - sum(count for _, count in counts.most_common(REASONS))
        words += [f"{rest} for other reasons"] * (rest > 0)
        lines.append(f"not asked of {name}: {counts.total()} of {totals[name]} probes ({'; '.join(words)})")
    return lines


def reproduction(outcome: ProbeOutcome, *, problem: str = "attention", impl_files: Sequence[str | Path] = ()) -> str:
    """Return the command that repeats one outcome's probe."""
    words = ["attnbench", "check"]
    words += [] if problem == "attention" else ["--problem", problem]
    words += ["--impl", outcome.implementation]
    for file in impl_files:
        words += ["--impl-file", str(file)]
    if outcome.dtype:
        words += ["--dtype", outcome.dtype]
    words += ["--device", outcome.device, "--seed", str(outcome.seed)]
    if outcome.dtype:
        words += ["-k", outcome.title]
    return shlex.join(words)


def by_implementation(outcomes: Sequence[ProbeOutcome]) -> dict[tuple[str, str], list[ProbeOutcome]]:
    """Gather outcomes by implementation and dtype, in order of appearance."""
    groups: dict[tuple[str, str], list[ProbeOutcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.implementation, outcome.dtype), []).append(outcome)
    return groups
