"""The plan: scenarios become cases with predictions, skip reasons and an order."""

from __future__ import annotations

import fnmatch
import hashlib
import importlib.metadata
import itertools
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from harness.fleet import shards
from harness.protocol.messages import Describe, Predict
from harness.records import Case, PlannedCase, case_id
from harness.results.journal import now
from harness.results.plan_file import DroppedPoint, Plan, digest_key
from harness.runner import budget
from harness.runner.process import ROOT
from harness.runner.selection import EmptyShardError, Keyword, SelectionError, check_names
from impls.variants import default_name, matches

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pydantic import JsonValue

    from harness.protocol.messages import Described
    from harness.results.plan_file import Part
    from harness.runner.progress import Progress
    from harness.runner.selection import Request, Selection
    from harness.runner.supervisor import Supervisor
    from scenarios.scenario import Scenario

# Cases whose predictions are asked for in one request.
BATCH = 256
# The shard that has every case.
WHOLE = (1, 1)


def select(scenario: Scenario, selection: Selection, *, device: str) -> Scenario:
    """Apply a device's variant and the user's choices to a scenario. Raises ValueError for an axis that can't be."""
    chosen = scenario.on_device(device.split(":", maxsplit=1)[0])
    if selection.axes:
        chosen = chosen.with_axes(selection.axes)
    return chosen.restricted(dtypes=selection.dtypes, directions=selection.directions, caches=selection.caches)


def expand(
    scenarios: Sequence[Scenario],
    *,
    names: dict[str, list[str]],
    selection: Selection,
    device: str,
    on_request: Collection[str] = (),
) -> tuple[list[Case], list[DroppedPoint]]:
    """List the cases of scenarios, each id once, and the points that constraints drop.

    `names` lists the implementations known for each problem, available or not; those `on_request` run where the user
    or the scenario asks for them by name. Raises SelectionError where the user's implementations match none.
    """
    cases: dict[str, Case] = {}
    dropped: list[DroppedPoint] = []
    wanted = Keyword(selection.keyword)
    for scenario in scenarios:
        points, without = scenario.points()
        dropped += [DroppedPoint(scenario=scenario.name, point=point, reason=reason) for point, reason in without]
        known = names.get(scenario.problem, [])
        implementations = _implementations(scenario, known, selection, on_request=on_request)
        for point in points:
            # Asked for by name, an implementation is measured at every size.
            some = [
                name
                for name in implementations
                if selection.implementations or not scenario.is_too_large(point, implementation=default_name(name))
            ]
            for case in _cases(scenario, point, some, device=device):
                if not wanted.matches(case.label):
                    continue
                first = cases.get(case.id)
                if first is None:
                    cases[case.id] = case
                elif scenario.name != first.scenario and scenario.name not in first.also:
                    cases[case.id] = first.model_copy(update={"also": [*first.also, scenario.name]})
    return list(cases.values()), dropped


def _cases(
    scenario: Scenario, point: dict[str, JsonValue], implementations: list[str], *, device: str
) -> Iterable[Case]:
    settings = itertools.product(scenario.settings(point), scenario.caches, implementations)
    for (dtype, direction), cache, implementation in settings:
        own = scenario.point_for(point, implementation=default_name(implementation))
        hashed = case_id(
            problem=scenario.problem,
            point=own,
            dtype=dtype,
            device=device,
            direction=direction,
            cache=cache,
            implementation=implementation,
        )
        yield Case(
            id=hashed,
            scenario=scenario.name,
            problem=scenario.problem,
            implementation=implementation,
            point=own,
            dtype=dtype,
            device=device,
            direction=direction,
            cache=cache,
        )


def _implementations(
    scenario: Scenario, known: list[str], selection: Selection, *, on_request: Collection[str]
) -> list[str]:
    chosen = [name for name in known if any(matches(name, pattern) for pattern in selection.variants)]
    # An option's values are held against its default.
    tried = {*chosen, *map(default_name, chosen)}
    mine = [
        name
        for name in known
        if name in scenario.implementations or name not in on_request or default_name(name) != name
        if any(matches(name, pattern) for pattern in scenario.implementations)
        and not any(fnmatch.fnmatchcase(default_name(name), pattern) for pattern in scenario.exclude)
    ]
    if selection.implementations:
        # Asked for by name, an implementation is measured even where the scenario leaves it out.
        mine = [name for name in known if any(matches(name, pattern) for pattern in selection.implementations)]
    return [name for name in known if name in mine or name in tried]


def make_plan(request: Request, supervisor: Supervisor, *, progress: Progress) -> Plan:
    """Expand the scenarios and ask the worker what each case will cost. Raises SelectionError, ValueError."""
    described = supervisor.require(Describe())
    files = [str(Path(file).resolve()) for file in request.impl_files]
    for entry in described.implementations:
        if not entry.available and entry.source in files:
            progress.unavailable(entry.source, entry.reason)
    names = names_by_problem(described)
    check_names((*request.selection.implementations, *request.selection.variants), names)
    if request.baseline is not None:
        check_names([request.baseline], names)
    approximate = {entry.name for entry in described.implementations if entry.approximate}
    if request.baseline in approximate:
        raise SelectionError(f"--baseline {request.baseline}: it is approximate, and no time of its kind is a baseline")
    scenarios = [select(scenario, request.selection, device=request.device) for scenario in request.scenarios]
    on_request = {entry.name for entry in described.implementations if entry.on_request}
    cases, dropped = expand(
        scenarios, names=names, selection=request.selection, device=request.device, on_request=on_request
    )
    if not cases:
        raise SelectionError("nothing is left to run: the selection matches no case")
    planned = predicted(cases, supervisor)
    if request.baseline is not None:
        check_baseline(request.baseline, planned)
    baseline = request.baseline or default_baseline(planned, approximate=approximate)
    planned, part = shard_of(planned, request, baseline=baseline)
    return Plan(
        created=now(),
        command=list(request.command),
        device=request.device,
        device_name=described.device_name,
        seed=request.seed,
        preset=request.preset,
        baseline=baseline,
        threads=described.threads,
        keep_memory=request.keep_memory,
        impl_files=files,
        digests=digests_of(described),
        policy=request.policy,
        scenarios=scenarios,
        cases=planned,
        dropped=dropped,
        fingerprint=code_fingerprint(),
        part=part,
    )


def shard_of(
    planned: Sequence[PlannedCase], request: Request, *, baseline: str
) -> tuple[list[PlannedCase], Part | None]:
    """Return the cases of the shard that is asked for, with what it is a part of. Raises EmptyShardError.

    Every machine that plans the same cases cuts them alike.
    """
    index, count = request.selection.shard
    if request.selection.shard == WHOLE:
        return list(planned), None

    def seconds(one: PlannedCase) -> float:
        return budget.nominal_seconds(one, device=request.device, policy=request.policy)

    chunk = shards.shards(planned, count=count, seconds=seconds)[index - 1]
    if not chunk.cases:
        held = f"{len(planned)} cases" if len(planned) > 1 else "one case"
        curves = len(shards.curves(planned))
        whole = f", whole curves of which it has {curves}" if curves > 1 else ""
        raise EmptyShardError(f"shard {index}/{count} of {held} is empty: nothing to do{whole}")
    bridge = shards.bridge_of(planned, baseline=baseline, call_seconds=budget.nominal_call_seconds)
    return shards.with_bridge(planned, chunk, name=f"{index}/{count}", bridge=bridge)


def check_baseline(baseline: str, planned: Sequence[PlannedCase]) -> None:
    """Refuse a baseline that is not among what runs, so that nothing would be compared. Raises SelectionError."""
    its = [case for case in planned if case.case.implementation == baseline]
    if not its:
        measured = ", ".join(dict.fromkeys(case.case.implementation for case in planned))
        raise SelectionError(
            f"the baseline {baseline!r} is not among what is measured ({measured}): add --impl {baseline}"
        )
    if all(case.skip for case in its):
        raise SelectionError(f"the baseline {baseline!r} can't run here; {its[0].case.label}: {its[0].reason}")


def digests_of(described: Described) -> dict[str, str]:
    """Return the digests of the described implementations' sources, as a plan has them."""
    return {digest_key(entry.problem, entry.name): entry.digest for entry in described.implementations if entry.digest}


def names_by_problem(described: Described) -> dict[str, list[str]]:
    """List the described implementations of each problem."""
    names: dict[str, list[str]] = {}
    for entry in described.implementations:
        names.setdefault(entry.problem, []).append(entry.name)
    return names


def predicted(cases: Sequence[Case], supervisor: Supervisor) -> list[PlannedCase]:
    """Join cases with what the worker predicts of them."""
    planned: list[PlannedCase] = []
    for start in range(0, len(cases), BATCH):
        batch = list(cases[start : start + BATCH])
        answer = supervisor.require(Predict(cases=batch))
        planned += [
            PlannedCase(case=case, predicted=one.predicted, skip=one.skip, reason=one.reason)
            for case, one in zip(batch, answer.predictions, strict=True)
        ]
    return planned


def default_baseline(planned: Sequence[PlannedCase], *, approximate: Collection[str] = ()) -> str:
    """Choose what counts as 1.0x: `sdpa-auto`, what a user gets by default, else the first that runs.

    Nothing `approximate` does; "" where all are.
    """
    exact = [case for case in planned if case.case.implementation not in approximate]
    running = [case.case.implementation for case in exact if case.skip is None]
    known = running or [case.case.implementation for case in exact]
    return next((name for name in ("sdpa-auto", "batched") if name in known), known[0] if known else "")


def code_fingerprint() -> dict[str, JsonValue]:
    """Return what must be the same for a run to be resumed: our sources, Python, torch's version."""
    digest = hashlib.sha256()
    for folder in ("harness", "impls", "scenarios"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return {
        "code": digest.hexdigest()[:16],
        "torch": importlib.metadata.version("torch"),
        "python": platform.python_version(),
    }
