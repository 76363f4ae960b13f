"""The run: a plan measured in shuffled rounds by worker processes, every case ending as a record."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import platform
import random
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from harness import allocation, assembly, journal, launch, plan, sampling, statistics, telemetry
from harness.journal import Journal, JournalError
from harness.process import Lost, Worker
from harness.records import (
    SKIPPED,
    Agreement,
    Allocation,
    Case,
    Ceiling,
    Degrees,
    Environment,
    PlannedCase,
    Preparation,
    Record,
    Round,
    Status,
    StopReason,
    Summary,
    Telemetry,
    Verdicts,
)
from harness.results.plan_file import Plan
from impls.registry import IMPORTING, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.policy import Policy
    from scenarios.scenario import Scenario

# Sources that kill the process on import are skipped one by one, at most this many.
IMPORT_DEATHS_AT_MOST = 20
# Requests that make no call of an implementation answer within this many seconds.
QUICK_SECONDS = 120.0
# Calls of an implementation that a preparation makes at least: agreement, memory, profile, warm-up.
PREPARATION_CALLS = 7
# What a visit or a check costs beside the calls, in seconds: inputs, messages, the oracle.
VISIT_SECONDS = 0.006
CHECK_SECONDS = 0.08
SEED_PER_VISIT = 1009
# Blocks grow up to this many times the policy's length where the time budget leaves room.
BLOCK_GROWTH_AT_MOST = 4.0


@dataclass(frozen=True)
class Options:
    """What a run is asked to do. Times are seconds; None means the policy's default."""

    scenarios: tuple[Scenario, ...]
    selection: plan.Selection
    device: str
    output: Path
    policy: Policy
    preset: Literal["fast", "default", "rigorous"] = "default"
    impl_files: tuple[str, ...] = ()
    threads: int | None = None
    keep_memory: bool = True
    timeout: float | None = None
    time_budget: float | None = None
    baseline: str | None = None
    seed: int = 0
    command: tuple[str, ...] = ()


class WorkerError(RuntimeError):
    """No worker can be had, or it failed at what has nothing to do with a case."""


class Progress(Protocol):
    """How a run tells what it does; `done` and `total` are predicted seconds."""

    def phase(self, name: str, *, total: float) -> None: ...  # noqa: D102
    def advance(self, amount: float, line: str, *, count: str = "") -> None: ...  # noqa: D102
    def note(self, line: str) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


@dataclass
class Clockwork:
    """The run's account of time, in seconds: its start, the budget, and what was spent inside implementations."""

    budget: float
    started: float = field(default_factory=time.monotonic)
    calls: float = 0.0

    @property
    def left(self) -> float:
        """Return the seconds left of the budget."""
        return self.budget - (time.monotonic() - self.started)


class Host:
    """Keeps one worker alive; a lost one is replaced at the next request."""

    def __init__(self, options: Options, *, progress: Progress) -> None:
        self._options = options
        self._progress = progress
        keeps = options.keep_memory and not allocation.why_not(options.device, os.environ)
        self._variables = allocation.KEEPING if keeps else {}
        self._skip: dict[str, str] = {}
        self._worker: Worker | None = None
        self.started_workers = 0
        self.first_ready: float | None = None

    def worker(self) -> Worker:
        """Return the worker, started if there is none. Raises WorkerError where none can be started."""
        if self._worker is None:
            self._worker = self._start()
        return self._worker

    def _start(self) -> Worker:
        for _ in range(IMPORT_DEATHS_AT_MOST):
            worker = Worker(
                settings={
                    "device": self._options.device,
                    "policy": self._options.policy.model_dump(mode="json"),
                    "threads": self._options.threads,
                    "impl_files": list(self._options.impl_files),
                    "skip": self._skip,
                },
                resident_cap=None,
                stderr_lines=self._options.policy.run.stderr_lines,
                variables=self._variables,
            )
            self.started_workers += 1
            ready = worker.ready
            if not isinstance(ready, Lost):
                worker.resident_cap = resident_cap(self._options, free=ready["free"])
                self.first_ready = self.first_ready or time.monotonic()
                return worker
            culprit = worker.step.removeprefix(IMPORTING)
            worker.close()
            if not worker.step.startswith(IMPORTING) or culprit in self._skip:
                raise WorkerError(f"no worker can be started: {ready.reason}")
            self._progress.note(f"{culprit}: {ready.reason}")
            self._skip[culprit] = ready.reason
        raise WorkerError(f"more than {IMPORT_DEATHS_AT_MOST} sources of implementations kill the worker on import")

    def ask(self, request: dict[str, Any], *, seconds: float = QUICK_SECONDS) -> dict[str, Any] | Lost:
        """Ask the worker; drop it where the answer says that it is gone."""
        worker = self.worker()
        answer = worker.ask(request, seconds=seconds)
        if isinstance(answer, Lost) and answer.gone:
            self.drop()
        return answer

    def must(self, request: dict[str, Any], *, seconds: float = QUICK_SECONDS) -> dict[str, Any]:
        """Ask what can't fail, twice where the worker was lost meanwhile. Raises WorkerError where it did."""
        answer = self.ask(request, seconds=seconds)
        if isinstance(answer, Lost) and answer.gone:
            answer = self.ask(request, seconds=seconds)
        if isinstance(answer, Lost):
            raise WorkerError(f"the worker failed at {request['do']!r}: {answer.reason}")
        return answer

    def note(self, line: str) -> None:
        """Tell the user of something."""
        self._progress.note(line)

    def drop(self) -> None:
        """End the worker; the next request starts another."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def resident_cap(options: Options, *, free: int) -> int | None:
    """Return the resident bytes beyond which a CPU worker is killed; a device's allocator has its own cap."""
    if options.device != "cpu":
        return None
    # Above the allocation limit that the worker sets itself, so that it bites only where that one can't.
    return int(min(1.0, options.policy.memory.share + 0.2) * free)


def names_by_problem(described: dict[str, Any]) -> dict[str, list[str]]:
    """List the described implementations of each problem."""
    names: dict[str, list[str]] = {}
    for entry in described["implementations"]:
        names.setdefault(entry["problem"], []).append(entry["name"])
    return names


def make_plan(options: Options, host: Host) -> Plan:
    """Expand the scenarios and ask the worker what each case will cost. Raises SelectionError, ValueError."""
    described = host.must({"do": "describe"})
    files = {str(Path(file).resolve()) for file in options.impl_files}
    for entry in described["implementations"]:
        if not entry["available"] and entry["source"] in files:
            host.note(f"{entry['source']}: {entry['reason']}")
    names = names_by_problem(described)
    plan.check_names(options.selection.implementations, names, unknown=unknown)
    if options.baseline is not None:
        plan.check_names([options.baseline], names, unknown=unknown)
    scenarios = [plan.select(scenario, options.selection, device=options.device) for scenario in options.scenarios]
    cases, dropped = plan.expand(scenarios, names=names, selection=options.selection, device=options.device)
    if not cases:
        raise plan.SelectionError("nothing is left to run: the selection matches no case")
    planned = plan.predicted(cases, ask=lambda batch: host.must({"do": "predict", "cases": batch})["predictions"])
    return Plan(
        created=now(),
        command=list(options.command),
        device=options.device,
        device_name=described["device_name"],
        seed=options.seed,
        preset=options.preset,
        baseline=options.baseline or default_baseline(planned),
        threads=described["threads"],
        keep_memory=options.keep_memory,
        impl_files=[str(Path(file).resolve()) for file in options.impl_files],
        policy=options.policy,
        scenarios=scenarios,
        cases=planned,
        dropped=dropped,
        fingerprint=code_fingerprint(),
    )


def default_baseline(planned: Sequence[PlannedCase]) -> str:
    """Choose what counts as 1.0x: `sdpa-auto`, what a user gets by default, else the first that runs."""
    running = [case.case.implementation for case in planned if case.skip is None]
    known = running or [case.case.implementation for case in planned]
    return next((name for name in ("sdpa-auto", "batched") if name in known), known[0])


def code_fingerprint() -> dict[str, Any]:
    """Return what must be the same for a run to be resumed: our sources, Python, torch's version."""
    import importlib.metadata

    digest = hashlib.sha256()
    root = Path(__file__).resolve().parent.parent
    for folder in ("harness", "impls", "scenarios"):
        for file in sorted((root / folder).rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return {
        "code": digest.hexdigest()[:16],
        "torch": importlib.metadata.version("torch"),
        "python": platform.python_version(),
    }


def now() -> str:
    """Return the time with its zone, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


class Run:
    """One run over a directory: prepare each case, time rounds, re-check, close."""

    def __init__(self, options: Options, planned: Plan, host: Host, log: Journal, *, progress: Progress) -> None:
        self.options, self.plan, self.host, self.log, self.progress = options, planned, host, log, progress
        self.policy = options.policy
        entries = journal.read(options.output)
        self.closed = dict(entries.records)
        self.prepared: dict[str, Preparation] = dict(entries.prepared)
        self.rounds: dict[str, list[Round]] = dict(entries.rounds)
        self.facts = set(entries.facts)
        self.environment: Environment | None = None
        default = self.policy.run.time_budget_cuda if "cuda" in options.device else self.policy.run.time_budget_cpu
        self.time = Clockwork(budget=options.time_budget or default)
        self.process = 1 + max((visit.process for visits in self.rounds.values() for visit in visits), default=-1)
        # A case that a killed run left out of a round has fewer visits than rounds were begun.
        self.rounds_done = 1 + max((visit.index for visits in self.rounds.values() for visit in visits), default=-1)
        self.telemetry: dict[str, Telemetry] = {}
        self.allocations: dict[str, Allocation] = {}
        self.ceilings_after: list[Ceiling] = []
        self.warnings: list[str] = thread_warnings(options.threads)
        self.random = random.Random(options.seed)
        # Implementations that no CUDA graph can capture, with the reason.
        self.uncaptured: dict[tuple[str, str], str] = {}

    # The steps of a run

    def measure(self) -> None:
        """Take the plan to its end; what is already in the journal is not repeated."""
        self._close_skipped()
        self._describe_machine()
        runnable = [case for case in self.plan.cases if case.case.id not in self.closed]
        self._prepare_all([case for case in runnable if case.case.id not in self.prepared])
        self._count_all()
        reasons = self._rounds()
        self._sustain_chosen()
        self._compare_allocation()
        self._close_all(reasons)
        self._measure_ceilings_again()

    def _close_skipped(self) -> None:
        for case in self.plan.cases:
            if case.skip is not None and case.case.id not in self.closed:
                self._close(Record(case=case.case, status=case.skip, reason=case.reason))

    def _describe_machine(self) -> None:
        dtypes = sorted({case.case.dtype for case in self.plan.cases if case.skip is None})
        answer = self.host.must({"do": "environment", "dtypes": dtypes, "seconds": self.policy.run.ceiling_seconds})
        found = Environment.model_validate(answer["environment"])
        known = journal.read_environment(self.options.output)
        if known is not None and known.id != found.id:
            raise JournalError(
                f"{self.options.output} was begun on another machine or setup ({known.id}, now {found.id})"
            )
        self.environment = known or found
        if known is None:
            journal.write_document(
                self.options.output / journal.ENVIRONMENT, found.model_dump(mode="json", by_alias=True)
            )

    def _prepare_all(self, cases: Sequence[PlannedCase]) -> None:
        costs = {case.case.id: self._predicted_seconds(case) * PREPARATION_CALLS + CHECK_SECONDS for case in cases}
        self.progress.phase("agreement", total=sum(costs.values()))
        for number, case in enumerate(by_point(cases), start=1):
            line = self._prepare(case)
            self.progress.advance(costs[case.case.id], line, count=f"{number}/{len(cases)}")

    def _prepare(self, planned: PlannedCase) -> str:
        case = planned.case
        request = {
            "do": "prepare",
            "case": case.model_dump(),
            "seed": self._seed(case, visit=0),
            "predicted_bytes": planned.predicted.extra_bytes if planned.predicted else None,
        }
        answer = self.host.ask(request, seconds=self._timeout(planned))
        failed = self._failure(case, answer)
        if failed is not None:
            return f"{plan.label(case)}: {failed.status}, {failed.reason}"
        assert not isinstance(answer, Lost)
        prepared = Preparation.model_validate(answer["prepared"])
        self.log.append_prepared(case.id, prepared)
        self.prepared[case.id] = prepared
        ratio = prepared.agreement.ratio
        agreed = "agrees" if ratio is None else f"agrees ({ratio:.2f} of budget)"
        return f"{plan.label(case)}: {agreed}, {duration(prepared.call_seconds)} a call"

    def _count_all(self) -> None:
        """Count the operations of each implementation that answered so far, once.

        A failure here leaves the law declared, and costs no case.
        """
        failing = {degrees_key(record.case) for record in self.closed.values() if record.status not in SKIPPED | {"ok"}}
        wanted = {
            degrees_key(case.case): case.case
            for case in self.plan.cases
            if case.case.id in self.prepared and degrees_key(case.case) not in self.facts | failing
        }
        self.progress.phase("counting operations", total=float(len(wanted)))
        for key, case in wanted.items():
            request = {
                "do": "count",
                "problem": case.problem,
                "implementation": case.implementation,
                "dtype": case.dtype,
                "direction": case.direction,
            }
            answer = self.host.ask(request, seconds=self.options.timeout or self.policy.run.timeout_at_least)
            line = ""
            if isinstance(answer, Lost):
                line = f"{case.implementation}: operations not counted, {answer.reason}"
            else:
                self.log.append_facts(key, answer["degrees"])
            self.progress.advance(1.0, line)

    def _rounds(self) -> dict[str, StopReason]:
        """Visit every open case round by round until each is done; return why each ended."""
        reasons: dict[str, StopReason] = {}
        active = self._open()
        block = self._block_seconds(active)
        timing = self.policy.timing
        reserve = sum(self._check_cost(case) for case in active) + self._sustain_cost(active)
        reserve += self._allocation_cost(active)
        while active:
            costs = {case.case.id: self._visit_cost(case, block) for case in active}
            index = self.rounds_done
            self.progress.phase(f"round {index + 1}", total=sum(costs.values()))
            self._next_process(index)
            for case in self._shuffled(active):
                line = self._visit(case, index=index, block=block)
                self.progress.advance(costs[case.case.id], line)
            self.rounds_done += 1
            active = [case for case in active if case.case.id not in self.closed]
            # A round that would not fit is not begun; its cost is what this one's was predicted to be.
            left = self.time.left - reserve - sum(costs.values())
            still: list[PlannedCase] = []
            for case in active:
                samples = [visit.samples for visit in self.rounds.get(case.case.id, [])]
                reason = statistics.stop(samples, policy=timing, seconds_left=left)
                if reason is None:
                    still.append(case)
                else:
                    reasons[case.case.id] = reason
            active = still
        return reasons

    def _open(self) -> list[PlannedCase]:
        """List the cases that have no record and may need rounds."""
        return [
            case
            for case in self.plan.cases
            if case.case.id not in self.closed
            and statistics.stop([v.samples for v in self.rounds.get(case.case.id, [])], policy=self.policy.timing)
            is None
        ]

    def _next_process(self, index: int) -> None:
        """Begin a new worker process where the policy spreads rounds over several."""
        processes = self.policy.timing.processes
        if processes > 1 and index and index % -(-self.policy.timing.rounds_at_least // processes) == 0:
            self.host.drop()
            self.process += 1

    def _visit(self, planned: PlannedCase, *, index: int, block: float) -> str:
        case = planned.case
        request = self._visit_request(planned, index=index, block=block)
        answer = self.host.ask(request, seconds=self._timeout(planned))
        failed = self._failure(case, answer)
        if failed is not None:
            return f"{plan.label(case)}: {failed.status}, {failed.reason}"
        assert not isinstance(answer, Lost)
        visited = self._with_graph(planned, Round.model_validate(answer["round"]), request)
        self.log.append_round(case.id, visited)
        self.rounds.setdefault(case.id, []).append(visited)
        return ""

    def _visit_request(self, planned: PlannedCase, *, index: int, block: float) -> dict[str, Any]:
        case, timing = planned.case, self.policy.timing
        seconds = self.prepared[case.id].call_seconds
        calls = 1
        if seconds < timing.slow_call_seconds:
            calls = sampling.calls_per_block(seconds, target=block, at_most=timing.calls_per_block_at_most)
        return {
            "do": "visit",
            "case": case.model_dump(),
            "seed": self._seed(case, visit=2 + index),
            "calls": calls,
            "blocks": sampling.blocks_for(seconds, policy=timing),
            "index": index,
            "process": self.process,
        }

    def _with_graph(self, planned: PlannedCase, visited: Round, request: dict[str, Any]) -> Round:
        """Add replays of a CUDA graph to a visit that calls for them; a worker lost there costs the figure alone."""
        case = planned.case
        if not launch.is_wanted(case, [*self.rounds.get(case.id, []), visited], policy=self.policy.timing):
            return visited
        key = (case.problem, case.implementation)
        if key in self.uncaptured:
            return launch.with_replays(visited, {"reason": self.uncaptured[key]})
        request = {
            "do": "replay",
            "case": request["case"],
            "seed": request["seed"],
            "blocks": request["blocks"],
            "call_seconds": self.prepared[case.id].call_seconds,
        }
        answer = self.host.ask(request, seconds=self._timeout(planned))
        if isinstance(answer, Lost):
            return launch.with_replays(visited, {"reason": f"{answer.status}, {answer.reason}"})
        self.time.calls += answer["calls_seconds"]
        if answer["capture_failed"]:
            self.uncaptured[key] = answer["graph"]["reason"]
            self.host.drop()
        return launch.with_replays(visited, answer["graph"])

    def _sustain_chosen(self) -> None:
        """Load the device for seconds with a few chosen cases, apart from timing, and keep its state meanwhile."""
        chosen = telemetry.choose(
            [case for case in self.plan.cases if case.case.id not in self.closed], policy=self.policy.telemetry
        )
        seconds = telemetry.pass_seconds(self.options.device, self.policy.telemetry)
        wait = telemetry.wait_seconds(self.options.device, self.policy.telemetry)
        self.progress.phase("sustained load", total=seconds * len(chosen))
        for planned in self.plan.cases:
            case = planned.case
            if case.id not in chosen:
                continue
            request = {
                "do": "sustain",
                "case": case.model_dump(),
                "seed": self._seed(case, visit=1),
                "call_seconds": self.prepared[case.id].call_seconds,
            }
            answer = self.host.ask(request, seconds=self._timeout(planned) + seconds + wait)
            failed = self._failure(case, answer)
            line = f"{plan.label(case)}: {failed.status}, {failed.reason}" if failed else ""
            if failed is None and not isinstance(answer, Lost):
                found = Telemetry.model_validate(answer["telemetry"])
                self.telemetry[case.id] = found.model_copy(update={"chosen": chosen[case.id]})
            self.progress.advance(seconds, line)

    def _compare_allocation(self) -> None:
        """Time a few cases in turn by this worker, which keeps its memory, and by one that doesn't; no median has them.

        A failure here costs the comparison, and no case.
        """
        policy = self.policy.allocation
        if policy.rounds == 0 or not self.options.keep_memory or allocation.why_not(self.options.device, os.environ):
            return
        chosen = allocation.choose(
            [case for case in self.plan.cases if case.case.id not in self.closed],
            prepared=self.prepared,
            policy=policy,
        )
        if not chosen:
            return
        self.progress.phase("fresh memory", total=float(len(chosen)))
        returning = Host(replace(self.options, keep_memory=False), progress=self.progress)
        try:
            for planned in chosen:
                line = self._compare_one(planned, returning)
                self.progress.advance(1.0, line)
        finally:
            returning.drop()

    def _compare_one(self, planned: PlannedCase, returning: Host) -> str:
        block = self.policy.timing.block_seconds_cpu
        returned: list[Round] = []
        kept: list[Round] = []
        # The first round finds the new worker cold.
        for index in range(-1, self.policy.allocation.rounds):
            request = self._visit_request(planned, index=max(0, index), block=block)
            pair = [(returning, returned), (self.host, kept)]
            for host, visits in pair if index % 2 else reversed(pair):
                answer = host.ask(request, seconds=self._timeout(planned))
                if isinstance(answer, Lost):
                    return f"{plan.label(planned.case)}: fresh memory not compared, {answer.reason}"
                self.time.calls += answer["calls_seconds"]
                if index >= 0:
                    visits.append(Round.model_validate(answer["round"]))
        self.allocations[planned.case.id] = allocation.conclude(
            returned, kept, confidence=self.policy.timing.confidence
        )
        return ""

    def _measure_ceilings_again(self) -> None:
        """Measure the ceilings that were best at the start once more; a machine that changed is worth a warning."""
        known = self.environment.ceilings if self.environment else []
        if not self.rounds or not known:
            return
        request = {
            "do": "ceilings",
            "known": [ceiling.model_dump() for ceiling in known],
            "seconds": self.policy.run.ceiling_again_seconds,
        }
        answer = self.host.ask(request)
        if isinstance(answer, Lost):
            self.warnings.append(f"ceilings not measured again: {answer.reason}")
            return
        self.ceilings_after = [Ceiling.model_validate(found) for found in answer["ceilings"]]
        self.warnings += ceiling_warnings(known, self.ceilings_after, at_least=self.policy.run.ceiling_drift)

    def _close_all(self, reasons: dict[str, StopReason]) -> None:
        cases = [case for case in self.plan.cases if case.case.id not in self.closed]
        floor = assembly.canary_floor([visit for visits in self.rounds.values() for visit in visits])
        costs = {case.case.id: self._check_cost(case) for case in cases}
        self.progress.phase("agreement on fresh inputs", total=sum(costs.values()))
        for planned in by_point(cases):
            case = planned.case
            request = {"do": "recheck", "case": case.model_dump(), "seed": self._seed(case, visit=1)}
            answer = self.host.ask(request, seconds=self._timeout(planned))
            failed = self._failure(case, answer)
            line = ""
            if failed is None:
                assert not isinstance(answer, Lost)
                record = assembly.close(
                    case,
                    self.prepared[case.id],
                    self.rounds[case.id],
                    floor=floor,
                    policy=self.policy,
                    environment=self.environment,
                    stop_reason=reasons.get(case.id) or self._stop_reason(case),
                    recheck=Agreement.model_validate(answer["agreement"]),
                    telemetry=self.telemetry.get(case.id),
                    allocation=self.allocations.get(case.id),
                )
                self._close(record)
            else:
                line = f"{plan.label(case)}: {failed.status}, {failed.reason}"
            self.progress.advance(costs[case.id], line)

    def _stop_reason(self, case: Case) -> StopReason:
        samples = [visit.samples for visit in self.rounds[case.id]]
        return statistics.stop(samples, policy=self.policy.timing, seconds_left=0.0) or "rounds"

    # Parts

    def _failure(self, case: Case, answer: dict[str, Any] | Lost) -> Record | None:
        """Close a case that failed, with its status and reason; None where it did not."""
        if isinstance(answer, Lost):
            record = Record(case=case, status=answer.status, reason=answer.reason, environment_id=self._environment_id)
        elif "refused" in answer:
            self.time.calls += answer.get("calls_seconds", 0.0)
            refused = answer["refused"]
            agreement = Agreement.model_validate(refused["agreement"]) if refused["agreement"] else None
            record = Record(
                case=case,
                status=refused["status"],
                reason=refused["reason"],
                agreement=agreement,
                environment_id=self._environment_id,
            )
        else:
            self.time.calls += answer.get("calls_seconds", 0.0)
            return None
        self._close(record)
        return record

    def _close(self, record: Record) -> None:
        self.log.append_record(record)
        self.closed[record.case.id] = record

    @property
    def _environment_id(self) -> str:
        return self.environment.id if self.environment else ""

    def _seed(self, case: Case, *, visit: int) -> int:
        """Return the seed of a visit's inputs: the implementations of a point get the same, no two visits do."""
        digest = hashlib.sha256(point_key(case).encode()).hexdigest()
        return self.options.seed + SEED_PER_VISIT * visit + int(digest[:6], 16)

    def _predicted_seconds(self, planned: PlannedCase) -> float:
        prepared = self.prepared.get(planned.case.id)
        if prepared is not None:
            return prepared.call_seconds
        return planned.predicted.seconds if planned.predicted else 0.0

    def _timeout(self, planned: PlannedCase) -> float:
        if self.options.timeout is not None:
            return self.options.timeout
        run = self.policy.run
        calls = PREPARATION_CALLS + self.policy.timing.blocks_per_round
        return max(run.timeout_at_least, run.timeout_factor * calls * self._predicted_seconds(planned))

    def _check_cost(self, planned: PlannedCase) -> float:
        return self._predicted_seconds(planned) + CHECK_SECONDS

    def _visit_cost(self, planned: PlannedCase, block: float) -> float:
        call = self._predicted_seconds(planned)
        blocks = sampling.blocks_for(call, policy=self.policy.timing)
        graph = launch.predicted_seconds(planned.case, call, block=block, policy=self.policy.timing)
        return call + blocks * max(call, block) + VISIT_SECONDS + graph

    def _sustain_cost(self, active: Sequence[PlannedCase]) -> float:
        implementations = {(case.case.problem, case.case.implementation) for case in active}
        of = self.policy.telemetry
        points = of.points_cuda if "cuda" in self.options.device else of.points_cpu
        return len(implementations) * points * telemetry.pass_seconds(self.options.device, of)

    def _allocation_cost(self, active: Sequence[PlannedCase]) -> float:
        """Return the most that the comparison of fresh memory may take, a new worker's start included."""
        policy = self.policy.allocation
        if policy.rounds == 0 or "cuda" in self.options.device:
            return 0.0
        largest: dict[tuple[str, str], float] = {}
        for planned in active:
            seconds = self._predicted_seconds(planned)
            key = (planned.case.problem, planned.case.implementation)
            if seconds <= policy.call_seconds_at_most:
                largest[key] = max(largest.get(key, 0.0), seconds)
        visits = 2 * (policy.rounds + 1)
        block = self.policy.timing.block_seconds_cpu
        return sum(
            visits * (call + self.policy.timing.blocks_per_round * max(call, block)) for call in largest.values()
        )

    def _block_seconds(self, active: Sequence[PlannedCase]) -> float:
        """Return how long blocks may be, so that the rounds aimed at fit the budget; never below the policy's."""
        timing = self.policy.timing
        least = timing.block_seconds_cuda if "cuda" in self.options.device else timing.block_seconds_cpu
        rounds = max(1, timing.rounds_aimed - self.rounds_done)
        room = self.time.left - sum(self._check_cost(case) for case in active)
        room -= self._sustain_cost(active) + self._allocation_cost(active)
        longest = least
        for step in range(1, 16):
            block = least * (1.0 + (BLOCK_GROWTH_AT_MOST - 1.0) * step / 15)
            if rounds * sum(self._visit_cost(case, block) for case in active) <= room:
                longest = block
        return longest

    def _shuffled(self, cases: Sequence[PlannedCase]) -> list[PlannedCase]:
        """Shuffle the points, and the implementations within each; those of a point stay adjacent."""
        groups: dict[str, list[PlannedCase]] = {}
        for case in cases:
            groups.setdefault(point_key(case.case), []).append(case)
        order = list(groups.values())
        self.random.shuffle(order)
        for group in order:
            self.random.shuffle(group)
        return [case for group in order for case in group]

    def summary(self, *, started: str, complete: bool) -> Summary:
        """Return the contents of summary.json."""
        wall = time.monotonic() - (self.host.first_ready or self.time.started)
        return Summary(
            started=started,
            ended=now(),
            wall_seconds=wall,
            call_seconds=self.time.calls,
            call_share=self.time.calls / wall if wall > 0 else 0.0,
            statuses=dict(Counter(record.status for record in self.closed.values())),
            rounds=self.rounds_done,
            workers=self.host.started_workers,
            complete=complete,
            warnings=self.warnings,
            ceilings_after=self.ceilings_after,
        )


def thread_warnings(threads: int | None) -> list[str]:
    """Say where more threads were asked for than there are processors for."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads is None or threads <= allowed:
        return []
    return [
        f"{threads} threads were asked for, and this process may use {allowed} processors: they wait for each other"
    ]


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


def degrees_key(case: Case) -> str:
    """Name the journal's facts on what an implementation's operations grow like."""
    return f"degrees {case.problem} {case.implementation} {case.direction}"


def write_verdicts(directory: Path) -> Verdicts:
    """Judge the claims of a run's scenarios by its records and counts, and store the verdicts. Raises JournalError."""
    from harness import verdict

    planned = assembly.read_plan(directory)
    if planned is None:
        raise JournalError(f"{directory} has no {journal.PLAN}")
    facts = journal.read(directory).facts
    verdicts = verdict.judge(
        assembly.records(directory),
        planned.scenarios,
        [Degrees.model_validate(found) for key, found in facts.items() if key.startswith("degrees ")],
        policy=planned.policy.scaling,
    )
    journal.write_document(directory / journal.VERDICTS, verdicts.model_dump(mode="json", by_alias=True))
    return verdicts


def by_point(cases: Sequence[PlannedCase]) -> list[PlannedCase]:
    """Order cases so that those of a point are adjacent, cheapest points first."""
    cost: dict[str, float] = {}
    for case in cases:
        key = point_key(case.case)
        cost[key] = max(cost.get(key, 0.0), case.predicted.seconds if case.predicted else 0.0)
    return sorted(cases, key=lambda case: (cost[point_key(case.case)], point_key(case.case)))


def point_key(case: Case) -> str:
    """Return what the implementations of one point share."""
    return f"{case.problem} {sorted(case.point.items())} {case.dtype} {case.direction} {case.cache}"


def duration(seconds: float) -> str:
    """Format a time for a log line."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


FAILED: tuple[tuple[int, frozenset[Status]], ...] = (
    (3, frozenset({"disagreed", "fallback", "invalid"})),
    (4, frozenset({"crashed", "timeout", "oom"})),
)


def exit_code(records: Sequence[Record]) -> int:
    """Return 3 where an implementation disagreed, fell back or was implausibly fast, 4 where cases failed, else 0."""
    seen = {record.status for record in records}
    return next((code for code, statuses in FAILED if seen & statuses), 0)


def execute(options: Options, *, progress: Progress, resume: bool = False) -> tuple[Summary, bool]:
    """Run or resume in the output directory; return the summary and whether it was interrupted.

    Raises JournalError, SelectionError, WorkerError, OSError for what the user must mend.
    """
    lock_folder = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")  # noqa: S108
    with journal.DeviceLock(options.device, folder=lock_folder):
        host = Host(options, progress=progress)
        started = now()
        try:
            planned = resumed_plan(options) if resume else make_plan(options, host)
            if resume:
                progress.note(f"resuming: scenarios, cases and options are those of {options.output / journal.PLAN}")
            skipped = [f"{plan.label(case.case)}: {case.reason}" for case in planned.cases if case.skip]
            if len(skipped) == len(planned.cases):
                raise plan.SelectionError(f"no case can run here; {skipped[0]}")
            if not resume:
                create_directory(options.output)
                journal.write_document(options.output / journal.PLAN, planned.model_dump(mode="json", by_alias=True))
            with Journal(options.output) as log:
                run = Run(options, planned, host, log, progress=progress)
                interrupted = False
                try:
                    run.measure()
                except KeyboardInterrupt:
                    interrupted = True
                    progress.note("interrupted: what was measured is kept; continue with --resume")
                summary = run.summary(started=started, complete=not interrupted)
                journal.write_document(options.output / journal.SUMMARY, summary.model_dump(mode="json", by_alias=True))
                if run.rounds:
                    progress.note("judging the claims")
                    write_verdicts(options.output)
                return summary, interrupted
        finally:
            host.drop()


def create_directory(output: Path) -> None:
    """Make the run directory. Raises JournalError where it can't be made or holds a run already."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        if (output / journal.PLAN).exists() or (output / journal.JOURNAL).exists():
            raise JournalError(f"{output} holds a run already: choose another -o, or continue it with --resume")
        if not os.access(output, os.W_OK):
            raise JournalError(f"{output} can't be written to")
    except (FileExistsError, NotADirectoryError):
        raise JournalError(f"{output} is not a directory") from None
    except OSError as error:
        raise JournalError(f"{output} can't be made: {error.strerror}") from None


def resumed_plan(options: Options) -> Plan:
    """Read the plan of an interrupted run. Raises JournalError where code or torch changed since."""
    planned = assembly.read_plan(options.output)
    if planned is None:
        raise JournalError(f"{options.output} holds no run to resume")
    ours = code_fingerprint()
    changed = [name for name, value in ours.items() if planned.fingerprint.get(name) != value]
    if changed:
        raise JournalError(f"{options.output} can't be resumed: {', '.join(changed)} changed since it was begun")
    return planned


def resumed_options(options: Options) -> Options:
    """Return the options of a run being resumed: its device, policy, seed and files are those it was begun with."""
    planned = resumed_plan(options)
    return replace(
        options,
        device=planned.device,
        policy=planned.policy,
        preset=planned.preset,
        seed=planned.seed,
        threads=planned.threads,
        keep_memory=planned.keep_memory,
        impl_files=tuple(planned.impl_files),
    )
