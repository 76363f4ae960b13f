"""The machine of a run: described at the start, its ceilings measured then and again at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.protocol.messages import Failed, MeasureCeilings, MeasureEnvironment, Refused
from harness.results import journal
from harness.results.documents import JournalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

    from harness.records import Ceiling
    from harness.runner.state import RunState


def describe_machine(state: RunState) -> None:
    """Describe the machine and measure its ceilings. Raises JournalError if the run was begun on another one."""
    dtypes = sorted({planned.case.dtype for planned in state.plan.cases if planned.skip is None})
    request = MeasureEnvironment(dtypes=dtypes, seconds=state.policy.run.ceiling_seconds)
    found = state.supervisor.require(request).environment
    known = state.environment
    if known is None:
        document = found.model_dump(mode="json", by_alias=True)
        journal.write_document(state.directory / journal.ENVIRONMENT, document)
        state.environment = found
    elif known.id != found.id:
        raise JournalError(f"{state.directory} was begun on another machine or setup ({known.id}, now {found.id})")
    elif (card := found.volatile.get("gpu_uuid")) != known.volatile.get("gpu_uuid"):
        state.warnings.append(f"The run was begun on another card of the same model, and goes on with {card}.")
    _warn_of_others(state, found.volatile.get("gpu_other_processes"), when="at the start")


def measure_ceilings_again(state: RunState) -> None:
    """Measure the ceilings that were best at the start once more; a machine that changed is worth a warning."""
    known = state.environment.ceilings if state.environment else []
    if not state.timed or not known:
        return
    answer = state.supervisor.ask(MeasureCeilings(known=known, seconds=state.policy.run.ceiling_again_seconds))
    if isinstance(answer, Failed | Refused):
        state.warnings.append(f"ceilings not measured again: {answer.reason}")
        return
    _warn_of_others(state, answer.others, when="at the end")
    state.ceilings_after = answer.ceilings
    state.warnings += ceiling_warnings(known, answer.ceilings, at_least=state.policy.run.ceiling_drift)


def _warn_of_others(state: RunState, count: JsonValue, *, when: str) -> None:
    """Say that other processes share the GPU: its time, its memory and its power are not this run's alone."""
    if isinstance(count, int) and count > 0:
        state.warnings.append(
            f"{count} other process(es) were on the GPU {when} of the run: its times are not its own."
        )


def ceiling_warnings(before: Sequence[Ceiling], after: Sequence[Ceiling], *, at_least: float) -> list[str]:
    """Say which ceilings moved by more than a share between the start of a run and its end."""
    now_by_name = {ceiling.name: ceiling.value for ceiling in after}
    changes = [
        f"{ceiling.name} {'rose' if now_by_name[ceiling.name] > ceiling.value else 'fell'} by "
        f"{abs(now_by_name[ceiling.name] / ceiling.value - 1.0):.0%}"
        for ceiling in before
        if abs(now_by_name.get(ceiling.name, ceiling.value) / ceiling.value - 1.0) > at_least
    ]
    return [f"The machine's ceilings moved between start and end: {', '.join(changes)}."] if changes else []
