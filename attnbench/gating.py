"""The gate for tests of pytest: one implementation held to the battery, and what a test says where it fails."""

from __future__ import annotations

import importlib.metadata
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.runner.process import ROOT
from impls.discovery import ENTRY_POINT_GROUP
from impls.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.records import ProbeOutcome
    from harness.runner.check import Report

# Of the probes that failed in one dtype, as many are named beside the first.
NAMED_AT_MOST = 5
GOOD = frozenset({"ok", "unsupported"})


class GateError(ValueError):
    """The gate can't be asked what it was asked; the message is for the author of the test."""


@dataclass(frozen=True)
class Asked:
    """What a test asks of the gate: implementations by name, else those of a file, in these dtypes and probes.

    `dtypes` empty is every one that the implementation declares; `probes` keeps those whose title contains it.
    `device` None is the best there is.
    """

    name: str | None = None
    file: Path | None = None
    dtypes: tuple[str, ...] = ()
    probes: str = ""
    quick: bool = True
    problem: str = "attention"
    device: str | None = None
    seed: int = 0

    @property
    def files(self) -> list[str]:
        """Return the files that a worker has to load: the given one, else that of a name registered in this process."""
        if self.file is not None:
            return [str(self.file)]
        source = _registered_here(self.problem, self.name or "")
        return [source] if source else []


def hold(asked: Asked) -> Report:
    """Hold an implementation to the battery in a worker process. Raises GateError for what can't be asked."""
    from attnbench.console import listener
    from attnbench.options import Telling
    from attnbench.reading import check_dtypes, check_known, make_worker_settings
    from harness.runner.check import check
    from harness.runner.supervisor import WorkerError
    from impls.registry import problem_folders

    if asked.name is None and asked.file is None:
        raise GateError("attention_gate needs the name of an implementation, or a file that registers some")
    try:
        check_known("problem", [asked.problem], [folder.name for folder in problem_folders()])
        check_dtypes(asked.dtypes)
        return check(
            make_worker_settings(asked.device, asked.files),
            names=[asked.name] if asked.name is not None else (),
            problem=asked.problem,
            dtypes=asked.dtypes,
            quick=asked.quick,
            only=asked.probes,
            seed=asked.seed,
            progress=listener(Telling(quiet=True)),
        )
    except KeyError as error:
        raise GateError(str(error.args[0])) from None
    except (ValueError, WorkerError) as error:
        raise GateError(str(error)) from None


def why_skipped(report: Report) -> str:
    """Say that what was asked for runs on other devices only; "" where any of it was examined, or fails otherwise."""
    if report.outcomes or not report.unavailable or not all(one.elsewhere for one in report.unavailable):
        return ""
    return "; ".join(f"{one.name} {one.reason}, and this is {report.device}" for one in report.unavailable)


def mistakes(report: Report, asked: Asked) -> str:
    """Say what failed in each dtype, and the command that repeats the first failure of it; "" where all is well."""
    from reports.terminal.check import DECLARING, by_implementation, closing, is_exception

    lines = [f"unavailable: {one.name}: {one.reason}" for one in report.unavailable if one.asked]
    failed = [outcome for outcome in report.outcomes if outcome.status not in GOOD]
    for (name, dtype), outcomes in by_implementation(failed).items():
        first, *others = outcomes
        lines.append(f"{first.status}: {name} {dtype}, {first.title}: {first.reason}")
        lines.append(f"  again: {repeating_command(first, asked)}")
        lines += [f"  also {outcome.status}: {outcome.title}" for outcome in others[:NAMED_AT_MOST]]
        if len(others) > NAMED_AT_MOST:
            lines.append(f"  and {len(others) - NAMED_AT_MOST} more")
    if any(is_exception(outcome) for outcome in failed):
        lines.append(DECLARING)
    if report.outcomes:
        lines += [
            f"nothing was asked in {dtype}: not declared, or no probe is supported" for dtype in _silent(report, asked)
        ]
    if not lines and report.nothing:
        lines = [report.nothing, *closing(report)]
    if not lines:
        return ""
    of = f": {len(failed)} of {_answered(report)} probes failed" if failed else ""
    return "\n".join([f"{asked.name or asked.file} does not pass the gate{of}", *lines])


def repeating_command(outcome: ProbeOutcome, asked: Asked) -> str:
    """Return the command that repeats one outcome, with the folders that this process imports from beside its own."""
    from reports.terminal.check import reproduction

    command = reproduction(outcome, problem=asked.problem, impl_files=asked.files)
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    added = [folder for folder in import_folders() if folder not in given] if asked.files else []
    return f"PYTHONPATH={shlex.quote(os.pathsep.join(added))} {command}" if added else command


def import_folders() -> list[str]:
    """List the folders that this process imports from and that no other process of this interpreter would."""
    own = tuple(Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix, ROOT))
    folders = [folder for folder in sys.path if folder and Path(folder).is_dir()]
    return [folder for folder in dict.fromkeys(folders) if not _is_below(Path(folder), own)]


def _is_below(folder: Path, others: Sequence[Path]) -> bool:
    """Tell whether a folder is one that any interpreter finds: packages of a prefix, or our own folder."""
    resolved = folder.resolve()
    installed = resolved.name in {"site-packages", "dist-packages"}
    return installed or resolved in others or any(resolved.is_relative_to(other / "lib") for other in others)


def _silent(report: Report, asked: Asked) -> list[str]:
    """List the dtypes that were asked for by name and in which no probe was."""
    examined = {outcome.dtype for outcome in report.outcomes if outcome.status != "unsupported"}
    return [dtype for dtype in asked.dtypes if dtype not in examined]


def _answered(report: Report) -> int:
    return sum(outcome.status != "unsupported" for outcome in report.outcomes)


def _registered_here(problem: str, name: str) -> str:
    """Return the file of a name that a test's own imports registered; "" if a worker finds it without being told."""
    entry = REGISTRY.entries.get((problem, name))
    if entry is None or Path(entry.source).resolve().is_relative_to(ROOT / "impls"):
        return ""
    package = str(getattr(entry.function, "__module__", "")).partition(".")[0]
    offered = {point.module.partition(".")[0] for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}
    return "" if package in offered or not Path(entry.source).is_file() else entry.source
