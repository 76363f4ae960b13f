"""Synthetic run directories: plausible numbers from a cost model, every status, several scenarios."""

from __future__ import annotations

import itertools
import json
import math
import random
from typing import TYPE_CHECKING, Any

from harness.policy import DEFAULT
from harness.records import (
    Agreement,
    Allocation,
    Case,
    Ceiling,
    Check,
    Counts,
    Environment,
    Launch,
    Memory,
    PlannedCase,
    Ran,
    Record,
    Round,
    Telemetry,
    Time,
    case_id,
)
from harness.results.journal import JOURNAL, write_document
from harness.results.plan_file import Plan
from harness.results.summary_file import Summary
from harness.results.verdicts_file import Verdict, Verdicts
from tests.support.run_verdicts import ATTENTION, CLAIMS, SPEEDS, verdicts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SWEEPS: dict[str, dict[str, Any]] = {
    "sequence-length": {
        "question": "How does cost grow with the number of tokens?",
        "axes": {"n": [64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096]},
        "base": {"d": 64, "heads": 2, "batch": 1},
    },
    "head-dim": {
        "question": "How does cost grow with features per head?",
        "axes": {"d": [8, 16, 24, 32, 48, 64, 96, 128, 256]},
        "base": {"n": 512, "heads": 2, "batch": 1},
    },
    "heads": {
        "question": "How does cost grow with heads of fixed size?",
        "axes": {"heads": [1, 2, 3, 4, 6, 8, 12, 16, 32]},
        "base": {"n": 512, "d": 32, "batch": 1},
    },
    "heads-fixed-width": {
        "question": "What does splitting a fixed width into more heads cost?",
        "axes": {"heads": [1, 2, 4, 8, 16, 32]},
        "base": {"n": 512, "batch": 1},
        "tied": {"d": 256},
    },
    "batch": {
        "question": "How does cost grow with the batch?",
        "axes": {"batch": [1, 2, 3, 4, 6, 8, 12, 16, 32]},
        "base": {"n": 256, "d": 64, "heads": 2},
    },
    "grid": {
        "question": "Do the four sizes act together as they do alone?",
        "axes": {"n": [128, 512], "d": [32, 128], "heads": [1, 4], "batch": [1, 4]},
        "base": {},
    },
    "multihead-length": {
        "question": "When do the projections stop to dominate?",
        "problem": "multihead",
        "axes": {"n": [64, 128, 256, 512, 1024, 2048]},
        "base": {"width": 256, "heads": 4, "batch": 1},
        "implementations": ("d2l", "torch-module"),
    },
    "pooling-size": {
        "question": "What does kernel regression cost?",
        "problem": "pooling",
        "axes": {"n": [64, 128, 256, 512, 1024, 2048]},
        "base": {},
        "implementations": ("average", "nadaraya-watson"),
    },
}
# When the first round of a synthetic run began, in unix seconds.
START = 1.77e9
FAILURES = {
    "disagreed": "error 3.1e-2 is 14 times the budget at row 17 of head 0",
    "unsupported": "implementation 'sdpa-cudnn' runs on cuda only",
    "unavailable": "ModuleNotFoundError: No module named 'flash_attn'",
    "predicted_oom": "needs 64.0 GiB: 2 score buffers of 4 x 8 x 16384 x 16384 x 4 B; 9.1 GiB are free",
    "oom": "out of memory: tried to allocate 4.00 GiB",
    "timeout": "no answer for 60 s (20 times the 3 s predicted)",
    "crashed": "killed by SIGSEGV; last lines: Fatal Python error: Segmentation fault",
    "fallback": "asked for flash, ran aten::bmm, aten::_softmax",
    "invalid": "4.1 TFLOP/s is 31 times the measured ceiling",
}


def make_run(
    directory: Path,
    *,
    sweeps: tuple[str, ...] = tuple(SWEEPS),
    cases: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    device_name: str = "Synthetic CPU, 2 cores",
    dtypes: tuple[str, ...] = ("float32",),
    directions: tuple[str, ...] = ("forward",),
    failures: bool = True,
    judged: bool = True,
    speed: float = 1.0,
    complete: bool = True,
) -> Path:
    """Write a whole run directory; `cases` extends it with a large grid to that many cases."""
    directory.mkdir(parents=True, exist_ok=True)
    noise = random.Random(seed)
    records = [
        _record(case, noise=noise, speed=speed)
        for name in sweeps
        for case in _cases(name, device=device, dtypes=dtypes, directions=directions)
    ]
    if failures:
        records += list(_failed(device))
    # A case that several scenarios share has one record, of the scenario that measured it first.
    records = list({record.case.id: record for record in reversed(records)}.values())[::-1]
    if cases is not None:
        known = {record.case.id for record in records}
        filler = (_record(case, noise=noise, speed=speed) for case in _many(device) if case.id not in known)
        records = (records + list(itertools.islice(filler, max(0, cases - len(records)))))[:cases]
    write_run(
        directory, records, sweeps=sweeps, device=device, device_name=device_name, judged=judged, complete=complete
    )
    return directory


def make_gpu_run(directory: Path, *, device_name: str = "NVIDIA H100 80GB HBM3", seed: int = 0) -> Path:
    """Write a run of a sequence-length sweep on a GPU that throttles midway; `device_name` is the driver's."""
    noise = random.Random(seed)
    sizes = (512, 1024, 2048, 4096, 8192, 16384)
    records = []
    for n, implementation in itertools.product(sizes, ("sdpa-cudnn", "sdpa-flash", "sdpa-math")):
        point = {"n": n, "d": 128, "heads": 16, "batch": 16384 // n}
        case = _case("sequence-length", "attention", implementation, point, "float16", "cuda:0", "forward")
        record = _record(case, noise=noise, speed=8e3)
        assert record.time is not None
        assert record.memory is not None
        short = n <= sizes[1]
        records.append(
            record.model_copy(
                update={
                    "telemetry": _throttled_load(noise, since=START + 600.0 + 10 * len(records)) if n == 8192 else None,
                    "memory": record.memory.model_copy(update={"reserved": 3 << 30, "device_process": 4 << 30}),
                    "allocation": Allocation(
                        returned=1.2 * record.time.median, kept=record.time.median, ratio=1.2, low=1.1, high=1.3,
                        faults_returned=4e4, faults_kept=3.0, rounds=5,
                    ) if n == 4096 else None,
                    "launch": Launch(
                        graph=0.6 * record.time.median, low=0.58 * record.time.median, high=0.62 * record.time.median,
                        calls=200, inputs=4, samples=[0.6 * record.time.median] * 9, overhead=0.4 * record.time.median,
                    ) if short else None,
                    "time": record.time.model_copy(
                        update={
                            "mode": "events",
                            "call_seconds": record.time.median,
                            "host_seconds": 0.7 * record.time.median,
                            "queued_share": 1.0,
                        }
                    ),
                }
            )
        )  # fmt: skip
    sweeps = ("sequence-length",)
    write_run(directory, records, sweeps=sweeps, device="cuda:0", device_name=device_name, judged=False)
    plan = json.loads((directory / "plan.json").read_text(encoding="utf-8"))
    plan["scenarios"][0]["axes"][0]["values"] = list(sizes)
    write_document(directory / "plan.json", plan)
    return directory


def _throttled_load(noise: random.Random, *, since: float) -> Telemetry:
    """Draw a sustained load whose clock sinks from 2.5 s on, where the device says that power holds it back."""
    times = [0.1 * step for step in range(65)]
    return Telemetry(
        series={
            "gpu_utilization": [(t, 0.98) for t in times],
            "power_w": [(t, 690 + noise.gauss(0, 4)) for t in times],
            "clock_mhz": [(t, 1980.0 if t < 2.5 else 1755.0) for t in times],
            "temperature_c": [(t, 45 + 3 * t) for t in times],
        },
        summary={"gpu_utilization": 0.98, "power_w": 690.0, "clock_mhz": 1800.0, "temperature_c": 60.0,
                 "energy_j": 0.9, "idle_power_w": 72.0, "burst_flops": 6.5e14, "sustained_flops": 5.9e14},
        throttle=["software power cap"],
        throttle_spans=[(2.5, 6.4, "software power cap")],
        started=since,
    )  # fmt: skip


def write_run(
    directory: Path,
    records: list[Record],
    *,
    sweeps: tuple[str, ...] = tuple(SWEEPS),
    device: str = "cpu",
    device_name: str = "Synthetic CPU, 2 cores",
    judged: bool = True,
    complete: bool = True,
    verdicts: list[Verdict] | None = None,
    rounds: list[list[Round]] | None = None,
) -> None:
    """Write plan, journal, environment, summary and verdicts around given records, and `rounds` of each or its own."""
    directory.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        created="2026-03-01T12:00:00+00:00",
        command=["attnbench", "run", "-o", "runs/example"],
        device=device,
        device_name=device_name,
        seed=0,
        baseline="sdpa-math",
        threads=2,
        policy=DEFAULT,
        scenarios=[_scenario(name) for name in sweeps],
        cases=[PlannedCase(case=record.case) for record in records],
        fingerprint={"torch": "2.13.0"},
    )
    write_document(directory / "plan.json", plan.model_dump(mode="json", by_alias=True))
    closed = records if complete else records[:-3]
    (directory / JOURNAL).write_text("".join(journal_lines(closed, rounds=rounds)), encoding="utf-8")
    write_document(
        directory / "environment.json", environment(device, device_name).model_dump(mode="json", by_alias=True)
    )
    statuses: dict[str, int] = {}
    for record in records:
        statuses[record.status] = statuses.get(record.status, 0) + 1
    summary = Summary(
        started="2026-03-01T12:00:00+00:00",
        ended="2026-03-01T12:04:10+00:00",
        wall_seconds=250.0,
        call_seconds=190.0,
        call_share=0.76,
        statuses=statuses,
        rounds=7,
        complete=complete,
        warnings=["31 % of the samples shared the machine with other work (canary over 1.05)"],
    )
    write_document(directory / "summary.json", summary.model_dump(mode="json", by_alias=True))
    if judged:
        found = Verdicts(verdicts=verdicts_of(closed) if verdicts is None else verdicts)
        write_document(directory / "verdicts.json", found.model_dump(mode="json", by_alias=True))


def journal_lines(records: list[Record], *, rounds: list[list[Round]] | None = None) -> Iterator[str]:
    """Write each record as a run's journal has it, after its rounds; one second passes between visits."""
    for number, record in enumerate(records):
        own = rounds_of(record, first=START + number) if record.time else []
        for visit in own if rounds is None else rounds[number]:
            yield f'{{"kind":"round","case":"{record.case.id}","round":{visit.model_dump_json(by_alias=True)}}}\n'
        yield f'{{"kind":"record","record":{record.model_dump_json(by_alias=True)}}}\n'


def rounds_of(record: Record, *, first: float) -> list[Round]:
    """Split a record's samples into the rounds that it says it had, a minute apart."""
    assert record.time is not None
    left, canary, found = list(record.time.samples), list(record.time.canary), []
    for index, length in enumerate(record.time.round_lengths):
        found.append(
            Round(
                index=index,
                started=first + 60.0 * index,
                calls_per_sample=record.time.calls_per_sample,
                samples=left[:length],
                canary=[2e-4 * value for value in canary[:length]],
                sm_clock_mhz=1980.0 if record.case.device.startswith("cuda") else None,
                throttle=["hardware thermal slowdown"] if "throttled" in record.time.flags and index > 3 else [],
            )
        )
        left, canary = left[length:], canary[length:]
    return found


def environment(device: str, device_name: str) -> Environment:
    return Environment(
        id="0123456789abcdef",
        stable={"cpu": device_name, "device": device, "torch": "2.13.0+cpu", "threads": 2, "mkl": "2024.2"},
        volatile={"load_average": 0.4, "frequency_mhz": 2445.0},
        ceilings=[
            Ceiling(name="matmul float32", value=9.0e10, unit="FLOP/s", how="best of 3 matrix products of 2048"),
            Ceiling(name="matmul bfloat16", value=1.6e11, unit="FLOP/s", how="best of 3 matrix products of 2048"),
            Ceiling(name="copy", value=1.8e10, unit="B/s", how="best of 3 copies of 256 MiB"),
        ],
        reasons={"power_w": "no RAPL counter is readable"},
    )


def ok_case(implementation: str = "batched", *, scenario: str = "sequence-length", **point: Any) -> Case:
    point = point or {"n": 64, "d": 64, "heads": 2, "batch": 1}
    return _case(scenario, "attention", implementation, point, "float32", "cpu", "forward")


def ok_record(implementation: str = "batched", **point: Any) -> Record:
    return _record(ok_case(implementation, **point), noise=random.Random(1), speed=1.0)


def failed_record(implementation: str, status: str, reason: str, **point: Any) -> Record:
    return Record(case=ok_case(implementation, **point), status=status, reason=reason)  # type: ignore[arg-type]


def _scenario(name: str) -> dict[str, Any]:
    sweep = SWEEPS[name]
    tied = {"d": f"{sweep['tied']['d']} / heads"} if "tied" in sweep else {}
    return {
        "name": name,
        "question": sweep["question"],
        "problem": sweep.get("problem", "attention"),
        "axes": [{"name": axis, "values": values, "tied": tied} for axis, values in sweep["axes"].items()],
        "base": sweep["base"],
        "claims": [{**claim, "quantities": ["operations"]} for claim in CLAIMS] if name == "sequence-length" else [],
    }


def _cases(name: str, *, device: str, dtypes: tuple[str, ...], directions: tuple[str, ...]) -> Iterator[Case]:
    sweep = SWEEPS[name]
    problem = sweep.get("problem", "attention")
    for values in itertools.product(*sweep["axes"].values()):
        point = {**sweep["base"], **dict(zip(sweep["axes"], values, strict=True))}
        if "tied" in sweep:
            point["d"] = sweep["tied"]["d"] // point["heads"]
        for dtype, direction in itertools.product(dtypes, directions):
            for implementation in sweep.get("implementations", ATTENTION):
                yield _case(name, problem, implementation, point, dtype, device, direction)


def _many(device: str) -> Iterator[Case]:
    sizes = itertools.product(range(32, 32 * 200, 32), (32, 64, 128), (1, 2, 4), (1, 2, 4))
    for n, d, heads, batch in sizes:
        for dtype, implementation in itertools.product(("float32", "bfloat16"), ATTENTION):
            point = {"n": n, "d": d, "heads": heads, "batch": batch, "causal": True}
            yield _case("grid", "attention", implementation, point, dtype, device, "forward")


def _failed(device: str) -> Iterator[Record]:
    for number, (status, reason) in enumerate(FAILURES.items()):
        point = {"n": 16384 + number, "d": 64, "heads": 8, "batch": 4}
        case = _case("sequence-length", "attention", "sdpa-cudnn", point, "float32", device, "forward")
        agreement = None
        if status == "disagreed":
            checks = [Check(name="max", error=3.1e-2, budget=2.2e-3, ratio=14.1, passed=False)]
            agreement = Agreement(passed=False, checks=checks, worst="row 17 of head 0", rows_checked=128)
        yield Record(case=case, status=status, reason=reason, agreement=agreement)


def _case(
    scenario: str, problem: str, implementation: str, point: dict[str, Any], dtype: str, device: str, direction: str
) -> Case:
    identity = {
        "problem": problem,
        "point": point,
        "dtype": dtype,
        "device": device,
        "direction": direction,
        "cache": "hot",
        "implementation": implementation,
    }
    return Case.model_validate({"id": case_id(**identity), "scenario": scenario, **identity})


def _record(case: Case, *, noise: random.Random, speed: float) -> Record:
    overhead, rate, buffers = SPEEDS[case.default]
    n, d = int(case.point["n"]), int(case.point.get("d", 64))  # type: ignore[call-overload]
    heads, batch = int(case.point.get("heads", 1)), int(case.point.get("batch", 1))  # type: ignore[call-overload]
    phases = {"scores": 2 * batch * heads * n * n * d, "weighted sum": 2 * batch * heads * n * n * d}
    if case.problem == "multihead":
        width = int(case.point["width"])  # type: ignore[call-overload]
        phases = {
            "projections": 6 * batch * n * width**2,
            "scores": 2 * batch * n * n * width,
            "weighted sum": 2 * batch * n * n * width,
            "output projection": 2 * batch * n * width**2,
        }
    operations = sum(phases.values())
    rows = batch * heads * n if case.implementation == "loop" else 1
    bend = 1 + 0.35 / (1 + math.exp(-(math.log2(n) - 10.2) / 0.2)) if buffers else 1.0
    seconds = (overhead * rows + operations / rate * bend) / speed
    seconds *= {"forward": 1.0, "backward": 2.4, "forward+backward": 3.4}[case.direction]
    seconds *= 0.6 if case.dtype == "bfloat16" else 1.0
    samples = [seconds * math.exp(abs(noise.gauss(0, 0.02))) for _ in range(21)]
    ordered = sorted(samples)
    extra = int(buffers * batch * heads * n * n * 4 + 64 * 1024 + n * d * 8)
    outputs = 4 * batch * heads * n * d
    power = 60.0 + 20 * noise.random()
    return Record(
        case=case,
        status="ok",
        agreement=Agreement(
            passed=True,
            checks=[
                Check(name="max", error=1.2e-7, budget=4e-7, ratio=noise.uniform(0.05, 0.6)),
                Check(name="rms", error=2e-8, budget=6e-8, ratio=noise.uniform(0.05, 0.5)),
            ],
            worst="row 3 of head 1",
            rows_checked=128,
            rechecked=True,
        ),
        time=Time(
            samples=samples,
            canary=[1 + abs(noise.gauss(0, 0.02)) for _ in samples],
            rounds=7,
            round_lengths=[3] * 7,
            calls_per_sample=max(1, int(5e-3 / seconds)),
            median=ordered[10],
            low=ordered[5],
            high=ordered[15],
            best=ordered[1],
            stop_reason="precision",
            flags=["wide"] if noise.random() < 0.04 else [],
            warm_up_calls=12,
        ),
        counts=Counts(
            operations=operations,
            attended=batch * heads * n * n,
            ideal_bytes=4 * outputs,
            how="declared" if case.implementation == "sdpa-flash" else "counted",
            phases=phases,
        ),
        memory=Memory(
            inputs=3 * outputs, outputs=outputs, workspace=extra, peak=outputs + extra, predicted=int(extra * 0.98)
        ),
        ran=Ran(operators={"aten::bmm": 2, "aten::_softmax": 1}, backend=None),
        telemetry=Telemetry(
            series={
                "cpu_utilization": [(t * 0.1, min(1.0, 0.2 * t + noise.uniform(-0.05, 0.0))) for t in range(20)],
                "power_w": [(t * 0.1, power + noise.gauss(0, 2)) for t in range(20)],
            },
            summary={"cpu_utilization": 0.97, "power_w": power, "energy_j": power * seconds},
            reasons={"temperature_c": "no sensor"},
        )
        if n >= 2048
        else None,
        roofline_share=operations / seconds / 9.0e10,
        environment_id="0123456789abcdef",
    )
