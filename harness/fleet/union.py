"""The union of the parts of one environment: each case once, with the record, the rounds and the facts of one part."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.results import journal
from harness.results.merged_file import Duplicate
from harness.results.summary_file import Summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel, JsonValue

    from harness.fleet.parts import ReadPart
    from harness.records import Case, Ceiling, Environment, PlannedCase, Record, Status
    from harness.results.plan_file import Plan
    from harness.results.verdicts_file import Verdicts

# What is kept of a case that several parts closed: first a wrong answer, which no other run takes back, then a time,
# then why there is none, and last what another part may have had time or packages for.
RANKS: dict[Status, int] = {
    **dict.fromkeys(("disagreed", "fallback", "invalid"), 0),
    "ok": 1,
    **dict.fromkeys(("crashed", "timeout", "oom"), 2),
    **dict.fromkeys(("unsupported", "unavailable", "predicted_oom", "predicted_slow"), 3),
    "over_budget": 4,
}


@dataclass(frozen=True)
class Candidate:
    """A case as a part has it; `record` is None if it was never closed."""

    part: ReadPart
    planned: PlannedCase
    record: Record | None

    @property
    def case(self) -> Case:
        """Return the case as the part's plan has it."""
        return self.planned.case

    @property
    def is_guest(self) -> bool:
        """Tell whether the case is another part's, measured here as the bridge."""
        return self.case.id == self.part.plan.guest

    @property
    def rank(self) -> tuple[int, bool, int]:
        """Order candidates, the one to keep first: by status, own cases before guests, more rounds before fewer."""
        if self.record is None:
            return len(RANKS), self.is_guest, 0
        return RANKS[self.record.status], self.is_guest, -(self.record.time.rounds if self.record.time else 0)


@dataclass(frozen=True)
class Taken:
    """The union of some parts of one environment, in the order of the plan that they are parts of."""

    parts: list[ReadPart]
    plan: Plan
    environment: Environment
    chosen: list[Candidate] = field(repr=False)
    records: list[Record] = field(repr=False)
    duplicates: list[Duplicate]

    @property
    def device_name(self) -> str:
        """Return what the device is called."""
        return self.plan.device_name or self.plan.device

    def files(self, *, warnings: Sequence[str], is_whole: bool) -> dict[str, str]:
        """Return the files of a run directory by name; verdicts are reached anew over all records.

        `is_whole` tells that the plan has no case without a closed record.
        """
        documents: dict[str, BaseModel] = {
            journal.PLAN: self.plan,
            journal.ENVIRONMENT: self.environment,
            journal.SUMMARY: self._summary(warnings, is_whole=is_whole),
        }
        facts = _facts(self.parts)
        if any(record.time for record in self.records):
            documents[journal.VERDICTS] = self._verdicts(facts)
        found = {
            name: journal.document_text(model.model_dump(mode="json", by_alias=True))
            for name, model in documents.items()
        }
        return {**found, journal.JOURNAL: "".join(self._lines(facts))}

    def _lines(self, facts: dict[str, dict[str, JsonValue]]) -> list[str]:
        said = []
        for candidate, record in zip(self.chosen, self.records, strict=True):
            identity, entries = record.case.id, candidate.part.entries
            if identity in entries.prepared:
                content = {"case": identity, "prepared": _json(entries.prepared[identity])}
                said.append(journal.line("prepared", content))
            said += [
                journal.line("round", {"case": identity, "round": _json(visit)})
                for visit in entries.rounds.get(identity, [])
            ]
            said.append(journal.line("record", {"record": _json(record)}))
        return said + [journal.line("facts", {"about": about, "facts": one}) for about, one in facts.items()]

    def _verdicts(self, facts: dict[str, dict[str, JsonValue]]) -> Verdicts:
        from harness.records import Degrees
        from harness.verdicts import judging

        degrees = [Degrees.model_validate(one) for about, one in facts.items() if about.startswith(journal.DEGREES)]
        return judging.judge_claims(self.records, self.plan.scenarios, degrees, policy=self.plan.policy.scaling)

    def _summary(self, warnings: Sequence[str], *, is_whole: bool) -> Summary:
        known = [(part, part.summary) for part in self.parts if part.summary]
        wall = sum(one.wall_seconds for _, one in known)
        calls = sum(one.call_seconds for _, one in known)
        timed = sum(one.timed_seconds or 0.0 for _, one in known)
        stages: Counter[str] = Counter()
        for _, one in known:
            stages.update(one.stages)
        throttled = [one.throttled_periods for _, one in known if one.throttled_periods is not None]
        return Summary(
            started=min((one.started for _, one in known), default=self.plan.created),
            ended=max((one.ended for _, one in known), default=self.plan.created),
            wall_seconds=wall,
            call_seconds=calls,
            call_share=calls / wall if wall > 0 else 0.0,
            timed_seconds=timed,
            timed_share=timed / wall if wall > 0 else 0.0,
            stages=dict(sorted(stages.items(), key=lambda item: (-item[1], item[0]))),
            left_out=[f"{part.label}: {said}" for part, one in known for said in one.left_out],
            statuses=dict(Counter(record.status for record in self.records)),
            rounds=max((one.rounds for _, one in known), default=0),
            workers=sum(one.workers for _, one in known),
            complete=is_whole and len(known) == len(self.parts) and all(one.complete for _, one in known),
            warnings=[*warnings, *(f"{part.label}: {said}" for part, one in known for said in one.warnings)],
            throttled_periods=sum(throttled) if throttled else None,
        )


def of_environment(parts: Sequence[ReadPart]) -> Taken:
    """Unite the parts of one environment; their order decides only where nothing else does."""
    candidates: dict[str, list[Candidate]] = {}
    for part in parts:
        for planned in part.plan.cases:
            one = Candidate(part, planned, part.entries.records.get(planned.case.id))
            candidates.setdefault(planned.case.id, []).append(one)
    position = _positions(parts)
    kept = [min(candidates[name], key=lambda one: one.rank) for name in sorted(candidates, key=position.__getitem__)]
    chosen = [one for one in kept if one.record is not None]
    device = _device(parts)
    return Taken(
        parts=list(parts),
        plan=_plan(parts, kept, device=device),
        environment=_environment(parts),
        chosen=chosen,
        records=[_record(one, device=device) for one in chosen],
        duplicates=[
            Duplicate(
                case=one.planned.case.id, label=one.planned.case.label, kept=one.part.label, left=other.part.label
            )
            for one in chosen
            for other in candidates[one.case.id]
            if other is not one and other.record is not None and not other.is_guest and not one.is_guest
        ],
    )


def _positions(parts: Sequence[ReadPart]) -> dict[str, int]:
    """Return where each case stands in the plans that the parts are of."""
    found: dict[str, int] = {}
    for part in parts:
        for name in [*part.whole, *(planned.case.id for planned in part.plan.cases)]:
            found.setdefault(name, len(found))
    return found


def _device(parts: Sequence[ReadPart]) -> str:
    """Return the device of the parts; its kind alone, where they had several of that kind."""
    names = {part.plan.device for part in parts}
    return names.pop() if len(names) == 1 else parts[0].plan.device.partition(":")[0]


def _record(one: Candidate, *, device: str) -> Record:
    assert one.record is not None
    case = one.record.case.model_copy(update={"device": device})
    return one.record.model_copy(update={"case": case, "part": one.part.label})


def _plan(parts: Sequence[ReadPart], kept: Sequence[Candidate], *, device: str) -> Plan:
    plans = [part.plan for part in parts]
    first = plans[0]
    baselines = Counter(plan.baseline for plan in plans)
    threads = {plan.threads for plan in plans}
    presets = {plan.preset for plan in plans}
    scenarios = {scenario.name: scenario for plan in reversed(plans) for scenario in reversed(plan.scenarios)}
    ordered = dict.fromkeys(scenario.name for plan in plans for scenario in plan.scenarios)
    digests = {key: digest for plan in reversed(plans) for key, digest in plan.digests.items()}
    dropped = {one.model_dump_json(): one for plan in plans for one in plan.dropped}
    return first.model_copy(
        update={
            "created": min(plan.created for plan in plans),
            "command": ["attnbench", "merge", *(part.label for part in parts)],
            "device": device,
            "preset": presets.pop() if len(presets) == 1 else "default",
            "baseline": min(baselines, key=lambda name: (-baselines[name], name)),
            "threads": threads.pop() if len(threads) == 1 else None,
            "impl_files": sorted({file for plan in plans for file in plan.impl_files}),
            "digests": dict(sorted(digests.items())),
            "scenarios": [scenarios[name] for name in ordered],
            "cases": [
                one.planned.model_copy(update={"case": one.case.model_copy(update={"device": device})}) for one in kept
            ],
            "dropped": list(dropped.values()),
            "part": None,
        }
    )


def _environment(parts: Sequence[ReadPart]) -> Environment:
    """Return the environment of the parts: volatile facts that all share, the largest ceilings that one reached.

    Records keep the shares of their own part's ceilings.
    """
    environments = [part.environment for part in parts]
    first = environments[0]
    same = {
        name: value
        for name, value in first.volatile.items()
        if all(other.volatile.get(name) == value for other in environments)
    }
    differing = sorted({name for one in environments for name in one.volatile} - same.keys())
    ceilings: dict[str, Ceiling] = {}
    for one in environments:
        for ceiling in one.ceilings:
            known = ceilings.get(ceiling.name)
            if known is None or ceiling.value > known.value:
                ceilings[ceiling.name] = ceiling
    reasons = {name: reason for one in reversed(environments) for name, reason in one.reasons.items()}
    reasons |= dict.fromkeys(differing, "it is not the same in all parts")
    return first.model_copy(update={"volatile": same, "ceilings": list(ceilings.values()), "reasons": reasons})


def _facts(parts: Sequence[ReadPart]) -> dict[str, dict[str, JsonValue]]:
    """Return what was learnt of implementations, of one subject what the first part says."""
    found = {about: facts for part in reversed(parts) for about, facts in part.entries.facts.items()}
    return {about: found[about] for about in sorted(found)}


def _json(model: BaseModel) -> dict[str, JsonValue]:
    content: dict[str, JsonValue] = model.model_dump(mode="json", by_alias=True)
    return content
