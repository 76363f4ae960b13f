"""The doctor: what would spoil a measurement on this machine, found by looking and by measuring; it changes nothing."""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from harness.doctor.self_test import SelfTest, self_test
from harness.machine import environment, processor
from harness.machine.nvml import BENIGN, SPOILING
from harness.records import DataModel, Environment

if TYPE_CHECKING:
    from harness.policy import Policy


Level = Literal["fine", "advice", "problem", "unknown"]
Facts = dict[str, Any]
# How grave, what was found, what to do.
Judgement = tuple[Level, str, str]
FactCheck = Callable[[Any, Facts], Judgement]

# Runnable tasks a core beyond which another one waits now and then.
LOAD_A_CORE = 0.25
# Share of time in which some task waited for a core.
PRESSURE = 0.05
STEAL_ADVICE, STEAL_PROBLEM = 0.01, 0.05
# Processors throttle between 90 and 105 degrees Celsius, GPUs between 83 and 95.
HOT_CPU, HOT_GPU = 85.0, 80.0
# A block of 5 ms with a timer this coarse is known to 0.1 %.
TIMER_RESOLUTION = 5e-6
# The canary beside each block: the share of slow ones from which neighbours are at work.
CONTAMINATED = 0.25
# Differences that this project sets out to see; a floor above it hides them.
NOISE_ADVICE, NOISE_PROBLEM = 0.03, 0.10
TIMER_READINGS = 20_000
# The share of copies called different that a preset may reach.
FALSE_ALARMS = {"default": 0.02, "rigorous": 0.01}


class Finding(DataModel):
    """One thing looked at: what was found, how grave it is, and what to do about it."""

    name: str
    level: Level
    found: str
    advice: str = ""


class Diagnosis(DataModel):
    """All findings, the self-test, and the environment they were found in."""

    environment: Environment
    findings: list[Finding]
    self_test: SelfTest


def diagnose(
    *, device: str = "cpu", policy: Policy, threads: int | None = None, is_full: bool = False, seed: int = 0
) -> Diagnosis:
    """Look at the machine, run the A/A self-test, and conclude; `is_full` calibrates the comparison on many cases."""
    processor.stand_somewhere()
    import torch

    threads = threads or processor.quota_threads(torch.get_num_threads())
    if threads != torch.get_num_threads():
        torch.set_num_threads(threads)
    described = environment.describe(device)
    findings = [*look(described), timer()]
    tested = self_test(device=device, policy=policy, is_full=is_full, seed=seed)
    return Diagnosis(environment=described, findings=findings + assess(tested, described), self_test=tested)


def look(described: Environment) -> list[Finding]:
    """Judge an environment's facts; one that could not be read is unknown, with its reason."""
    facts = described.stable | described.volatile
    looks = FACT_CHECKS | GPU_CHECKS if facts.get("device") == "cuda" else FACT_CHECKS
    findings = []
    for name, judge_fact in looks.items():
        value = facts.get(name)
        if value is None:
            reason = described.reasons.get(name) or described.reasons.get("nvml") or "the system does not say"
            findings.append(Finding(name=name, level=ABSENT.get(name, "unknown"), found=reason))
        else:
            level, found, advice = judge_fact(value, facts)
            findings.append(Finding(name=name, level=level, found=found, advice=advice))
    return findings


def timer() -> Finding:
    """Read the clock many times: its smallest step, and whether it ever went backwards."""
    readings = [time.perf_counter_ns() for _ in range(TIMER_READINGS)]
    return judge_timer([after - before for before, after in itertools.pairwise(readings)])


def judge_timer(steps: list[int]) -> Finding:
    """Judge a clock by the nanoseconds between successive readings."""
    smallest = min((step for step in steps if step > 0), default=0)
    found = f"smallest step {smallest} ns, {statistics.median(steps):.0f} ns a reading"
    if min(steps) < 0:
        return Finding(name="timer", level="problem", found=found, advice="it went backwards; no time here is sound")
    if not smallest or smallest > TIMER_RESOLUTION * 1e9:
        return Finding(name="timer", level="advice", found=found, advice="a coarse clock; measure longer blocks")
    return Finding(name="timer", level="fine", found=found)


def _governor(governor: str, _: Facts) -> Judgement:
    if governor == "performance":
        return "fine", governor, ""
    return "advice", governor, "clocks follow the load; as root, `cpupower frequency-set -g performance` holds them up"


def _turbo(is_on: bool, _: Facts) -> Judgement:  # noqa: FBT001
    if not is_on:
        return "fine", "off", ""
    return "advice", "on", "clocks depend on temperature and on busy cores; trust interleaved comparisons only"


def _load(averages: list[float], facts: Facts) -> Judgement:
    a_core = averages[0] / facts["cpu_cores"]
    found = f"{averages[0]:.2f} in the last minute, {a_core:.2f} a core"
    if a_core > 1:
        return "problem", found, "more work than cores; stop the others"
    if a_core > LOAD_A_CORE:
        return "advice", found, "other work runs here; wait for its end"
    return "fine", found, ""


def _pressure(share: float, _: Facts) -> Judgement:
    found = f"some task waited for a core {share:.1%} of the last 10 s"
    if share > PRESSURE:
        return "advice", found, "other work competes for the cores; wait, or use fewer threads"
    return "fine", found, ""


def _quota(cores: float, facts: Facts) -> Judgement:
    found = f"{cores:g} cores' worth of time for {facts['threads']} threads"
    if facts.get("throttled_periods"):
        found += f"; stopped in {facts['throttled_periods']} periods so far"
    if cores < 1:
        return "problem", found, "every thread stops once the quota is used up; give the group a core or more"
    if facts["threads"] > cores:
        return "problem", found, f"all threads stop once the quota is used up; use --threads {math.floor(cores)}"
    return "fine", found, ""


def _threads(threads: int, facts: Facts) -> Judgement:
    cores = facts["cpu_cores_allowed"]
    found = f"{threads} on {cores} allowed cores"
    if threads > cores:
        return "problem", found, f"threads wait for each other; use --threads {cores}"
    load = facts.get("load_average", [0.0])[0] / facts["cpu_cores"]
    if (load > LOAD_A_CORE or facts.get("cpu_pressure", 0.0) > PRESSURE) and threads == cores > 1:
        advice = f"on a busy machine the slowest thread decides; --threads {cores - 1} leaves a core to the others"
        return "advice", found, advice
    return "fine", found, ""


def _temperature(limit: float) -> FactCheck:
    def judge_temperature(celsius: float, _: Facts) -> Judgement:
        found = f"{celsius:.0f} degrees Celsius"
        return ("advice", found, "near where clocks fall; let it cool") if celsius >= limit else ("fine", found, "")

    return judge_temperature


def _clock_source(source: str, _: Facts) -> Judgement:
    if source in {"tsc", "kvm-clock", "arch_sys_counter"}:
        return "fine", source, ""
    return "advice", source, "reading this clock takes a system call; short calls want longer blocks"


def _allocation(variables: dict[str, str], facts: Facts) -> Judgement:
    changed = [name for name in variables if name.startswith("MALLOC_") or name in {"GLIBC_TUNABLES", "LD_PRELOAD"}]
    if changed:
        return "fine", "changed by " + ", ".join(f"{name}={variables[name]}" for name in changed), ""
    if facts.get("device") == "cuda":
        return "fine", "default allocator; what calls return is on the device", ""
    return "fine", "default allocator: large results go back to the system after a call, and fault in at the next", ""


def _other_processes(count: int, _: Facts) -> Judgement:
    found = f"{count} on the GPU"
    return ("problem", found, "they share its time, memory and power; stop them") if count else ("fine", found, "")


def _clock_reasons(reasons: list[str], _: Facts) -> Judgement:
    found = ", ".join(reasons) or "none"
    if not SPOILING.isdisjoint(reasons):
        return "problem", found, "the GPU is being slowed down; check cooling and power supply"
    if not BENIGN.issuperset(reasons):
        return "advice", found, "a lasting load runs slower than a burst; read burst and sustained figures apart"
    return "fine", found, ""


def _persistence(is_on: bool, _: Facts) -> Judgement:  # noqa: FBT001
    if is_on:
        return "fine", "on", ""
    return "advice", "off", "the driver unloads between runs; as root, `nvidia-smi -pm 1` keeps it"


def _ecc(is_on: bool, _: Facts) -> Judgement:  # noqa: FBT001
    return "fine", "on; on GDDR memory it costs some bandwidth" if is_on else "off", ""


def _mig(is_mig: bool, _: Facts) -> Judgement:  # noqa: FBT001
    if not is_mig:
        return "fine", "a whole GPU", ""
    return "advice", "a MIG instance", "utilisation, power and energy are the whole GPU's and will be absent"


# What is looked at, by the name of the fact in the environment.
FACT_CHECKS: dict[str, FactCheck] = {
    "governor": _governor,
    "turbo": _turbo,
    "load_average": _load,
    "cpu_pressure": _pressure,
    "cpu_quota_cores": _quota,
    "threads": _threads,
    "cpu_temperature_c": _temperature(HOT_CPU),
    "clock_source": _clock_source,
    "variables": _allocation,
}
GPU_CHECKS: dict[str, FactCheck] = {
    "gpu_other_processes": _other_processes,
    "gpu_clock_reasons": _clock_reasons,
    "gpu_persistence": _persistence,
    "gpu_ecc": _ecc,
    "gpu_temperature_c": _temperature(HOT_GPU),
    "gpu_mig": _mig,
}
# Absent, these are as they should be.
ABSENT: dict[str, Level] = {"cpu_quota_cores": "fine"}


def assess(tested: SelfTest, described: Environment) -> list[Finding]:
    """Judge what the self-test measured."""
    cores = described.stable["cpu_cores_allowed"]
    fewer = f"close other work, or leave it a core (--threads {max(1, int(str(cores)) - 1)})"
    level: Level = "fine"
    advice = f"smaller differences than {tested.noise_floor:.1%} need more rounds (--rigorous) or a quieter machine"
    if tested.noise_floor > NOISE_PROBLEM:
        level, advice = "problem", f"two copies of the same code differ this much here; {fewer}, and use --rigorous"
    elif tested.noise_floor > NOISE_ADVICE:
        level, advice = "advice", f"{advice}; {fewer}"
    found = f"two copies of the same code differ by up to {tested.noise_floor:.1%} ({len(tested.ratios)} cases)"
    findings = [Finding(name="noise_floor", level=level, found=found, advice=advice)]
    for preset, share in tested.called_different.items():
        is_over = share > FALSE_ALARMS[preset]
        findings.append(
            Finding(
                name="false_alarms",
                level="problem" if is_over else "fine",
                found=f"{share:.1%} of {len(tested.ratios)} copies called different as by a {preset} run",
                advice="differences found on this machine may be none; measure on a quieter one" if is_over else "",
            )
        )
    if tested.contaminated is not None:
        is_shared = tested.contaminated > CONTAMINATED
        findings.append(
            Finding(
                name="canary",
                level="advice" if is_shared else "fine",
                found=f"a reference kernel was slow beside {tested.contaminated:.0%} of the blocks",
                advice="something shares this machine that load and steal do not show; measure again"
                if is_shared
                else "",
            )
        )
    if tested.steal_share is not None:
        grave: Level = "problem" if tested.steal_share > STEAL_PROBLEM else "advice"
        findings.append(
            Finding(
                name="steal",
                level=grave if tested.steal_share > STEAL_ADVICE else "fine",
                found=f"the hypervisor gave {tested.steal_share:.1%} of the self-test's time to others",
                advice="other virtual machines compete for the host" if tested.steal_share > STEAL_ADVICE else "",
            )
        )
    return findings
