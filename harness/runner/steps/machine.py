"""The machine of a run: described at the start, its ceilings measured then and again at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.machine.roofline import WIDENED, matmul_rate
from harness.protocol.messages import Failed, MeasureCeilings, MeasureEnvironment, Refused
from harness.results import journal
from harness.results.documents import JournalError
from harness.runner import kept
from harness.tables.reading import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import JsonValue

    from harness.records import Ceiling, Environment
    from harness.runner.state import RunState

# A product of the canary's size reaches at least this share of the best size's rate on the machines seen.
CANARY_SHARE = 0.6
# Of a fact that changed, as much is told.
FACT_CHARACTERS = 80


def describe_machine(state: RunState) -> None:
    """Describe the machine with its ceilings. Raises JournalError if the run was begun on another one.

    A machine whose ceilings were measured today has those, unless fresh ones were asked for.
    """
    described = state.supervisor.require(MeasureEnvironment(dtypes=[], seconds=0.0)).environment
    known = state.environment
    if known is not None and known.id != described.id:
        changed = "; ".join(_changes(known.stable, described.stable)) or f"{known.id}, now {described.id}"
        raise JournalError(f"{state.directory} was begun on another machine or setup: {changed}")
    if known is None:
        state.environment = described.model_copy(update={"ceilings": _ceilings(state, described)})
        document = state.environment.model_dump(mode="json", by_alias=True)
        journal.write_document(state.directory / journal.ENVIRONMENT, document)
    else:
        _warn_of_another(state, known.volatile, described.volatile)
    _warn_of_others(state, described.volatile.get("gpu_other_processes"), when="at the start")


def _changes(before: Mapping[str, JsonValue], now: Mapping[str, JsonValue]) -> list[str]:
    """Say which facts are others now, those of objects such as `variables` one by one."""
    said = []
    for name in sorted({*before, *now}):
        was, is_now = before.get(name), now.get(name)
        if isinstance(was, dict) and isinstance(is_now, dict):
            said += _changes(was, is_now)
        elif was != is_now:
            said.append(f"{printable(name)} was {_shown(was)}, now it is {_shown(is_now)}")
    return said


def _shown(fact: JsonValue) -> str:
    return "not set" if fact is None else printable(str(fact))[:FACT_CHARACTERS]


def _warn_of_another(state: RunState, before: Mapping[str, JsonValue], now: Mapping[str, JsonValue]) -> None:
    """Say that a run goes on on another machine, or card, that is like the one it was begun on."""
    if (card := now.get("gpu_uuid")) != before.get("gpu_uuid"):
        state.warnings.append(f"The run was begun on another card of the same model, and goes on with {card}.")
    was, host = before.get("hostname"), now.get("hostname")
    if was and was != host:
        state.warnings.append(f"The run was begun on {_shown(was)}, and goes on on {_shown(host)}, which is alike.")


def _ceilings(state: RunState, described: Environment) -> list[Ceiling]:
    measured = {planned.case.dtype for planned in state.plan.cases if planned.skip is None}
    # What may be computed in float32 is plausible up to its rate.
    dtypes = sorted(measured | ({"float32"} if measured & WIDENED else set()))
    place, day = kept.folder(), kept.today()
    if not state.limits.fresh_ceilings:
        found = kept.read(described.id, dtypes=dtypes, place=place, day=day)
        if found:
            state.are_ceilings_kept = True
            return found
    request = MeasureEnvironment(dtypes=dtypes, seconds=state.policy.run.ceiling_seconds)
    found = state.supervisor.require(request).environment.ceilings
    kept.write(described.id, found, place=place, day=day)
    return found


def measure_ceilings_again(state: RunState) -> None:
    """Measure the ceilings that were best at the start once more; a machine that changed is worth a warning."""
    known = state.environment.ceilings if state.environment else []
    if not state.timed or not known or _is_known_to_hold(state, known):
        return
    answer = state.supervisor.ask(MeasureCeilings(known=known, seconds=state.policy.run.ceiling_again_seconds))
    if isinstance(answer, Failed | Refused):
        state.warnings.append(f"ceilings not measured again: {answer.reason}")
        return
    _warn_of_others(state, answer.others, when="at the end")
    state.ceilings_after = answer.ceilings
    _keep_what_rose(state, known, answer.ceilings)
    state.warnings += ceiling_warnings(known, answer.ceilings, at_least=state.policy.run.ceiling_drift)


def _keep_what_rose(state: RunState, before: Sequence[Ceiling], after: Sequence[Ceiling]) -> None:
    """Keep for the day what the machine reaches undisturbed: other work may have held the first figures down."""
    now = {ceiling.name: ceiling.value for ceiling in after}
    allowed = 1.0 + state.policy.run.ceiling_drift
    if state.environment and any(now.get(one.name, 0.0) > allowed * one.value for one in before):
        larger = [one.model_copy(update={"value": max(one.value, now.get(one.name, 0.0))}) for one in before]
        kept.write(state.environment.id, larger, place=kept.folder(), day=kept.today())


def _is_known_to_hold(state: RunState, known: Sequence[Ceiling]) -> bool:
    """Tell whether the canary says that ceilings kept from an earlier run still hold, so that none is measured."""
    single, floor = matmul_rate(known, "float32"), state.canary_floor()
    if not state.are_ceilings_kept or single is None or floor is None:
        return False
    # The canary is a small product: slower than the best size by far less than a machine that lost half its rate.
    rate = 2 * state.policy.timing.canary_size**3 / floor
    return CANARY_SHARE * single <= rate <= single * (1.0 + state.policy.run.ceiling_drift)


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
        f"{100.0 * abs(now_by_name[ceiling.name] / ceiling.value - 1.0):,.0f} %"
        for ceiling in before
        if abs(now_by_name.get(ceiling.name, ceiling.value) / ceiling.value - 1.0) > at_least
    ]
    return [f"The machine's ceilings moved between start and end ({', '.join(changes)})."] if changes else []
