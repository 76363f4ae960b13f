"""The doctor finds what would spoil a measurement, says what to do about it, and calls a sound machine fine."""

from __future__ import annotations

import pytest

from harness.doctor import self_test
from harness.doctor.diagnosis import (
    ABSENT,
    FACT_CHECKS,
    FALSE_ALARMS,
    GPU_CHECKS,
    Diagnosis,
    assess,
    diagnose,
    judge_timer,
    look,
)
from harness.policy import DEFAULT
from harness.records import Environment
from reports.terminal.doctor import as_text
from tests.harness.doctor.test_self_test import QUICK, twins

SOUND = {
    "device": "cuda",
    "cpu": "a processor",
    "cpu_cores": 8,
    "cpu_cores_allowed": 8,
    "cpu_quota_cores": 8.0,
    "threads": 8,
    "variables": {},
    "governor": "performance",
    "turbo": False,
    "load_average": [0.1, 0.1, 0.1],
    "cpu_pressure": 0.0,
    "cpu_temperature_c": 50.0,
    "clock_source": "tsc",
    "gpu": "a GPU",
    "gpu_other_processes": 0,
    "gpu_clock_reasons": ["idle"],
    "gpu_persistence": True,
    "gpu_ecc": True,
    "gpu_temperature_c": 40.0,
    "gpu_mig": False,
}
SPOILT = [
    ("governor", "powersave", "advice", "cpupower"),
    ("turbo", True, "advice", "interleaved"),
    ("load_average", [3.0, 1.0, 1.0], "advice", "other work runs"),
    ("load_average", [9.0, 1.0, 1.0], "problem", "more work than cores"),
    ("cpu_pressure", 0.2, "advice", "fewer threads"),
    ("cpu_quota_cores", 2.5, "problem", "--threads 2"),
    ("cpu_quota_cores", 0.5, "problem", "give the group a core or more"),
    ("threads", 9, "problem", "--threads 8"),
    ("cpu_temperature_c", 95.0, "advice", "cool"),
    ("clock_source", "hpet", "advice", "longer blocks"),
    ("gpu_other_processes", 2, "problem", "stop them"),
    ("gpu_clock_reasons", ["hardware thermal slowdown"], "problem", "cooling"),
    ("gpu_clock_reasons", ["software power cap"], "advice", "burst and sustained"),
    ("gpu_persistence", False, "advice", "nvidia-smi -pm 1"),
    ("gpu_temperature_c", 88.0, "advice", "cool"),
    ("gpu_mig", True, "advice", "whole GPU"),
]


def environment(**facts):
    known = {name: value for name, value in (SOUND | facts).items() if value is not None}
    absent = {name: f"no {name} here" for name, value in facts.items() if value is None}
    return Environment(id="x", stable=known, reasons=absent)


def finding(findings, name):
    return next(found for found in findings if found.name == name)


def test_a_sound_machine_is_fine_throughout():
    findings = look(environment())
    assert {found.level for found in findings} == {"fine"}
    assert not any(found.advice for found in findings)


@pytest.mark.parametrize(("name", "value", "level", "advice"), SPOILT)
def test_each_thing_that_spoils_is_found_with_advice(name, value, level, advice):
    found = finding(look(environment(**{name: value})), name)
    assert found.level == level
    assert advice in found.advice


@pytest.mark.parametrize("name", sorted(set(FACT_CHECKS | GPU_CHECKS) - {"threads", "variables", "load_average"}))
def test_what_cannot_be_read_is_unknown_with_its_reason_and_never_fine(name):
    found = finding(look(environment(**{name: None})), name)
    assert found.level == ABSENT.get(name, "unknown")
    assert found.found == f"no {name} here"


def test_a_machine_without_a_gpu_is_not_asked_about_one():
    names = {found.name for found in look(environment(device="cpu"))}
    assert not any(name.startswith("gpu") for name in names)


def test_a_busy_machine_is_advised_to_leave_a_core():
    found = finding(look(environment(cpu_pressure=0.3)), "threads")
    assert "--threads 7" in found.advice
    assert finding(look(environment(cpu_pressure=0.3, threads=7)), "threads").level == "fine"


@pytest.mark.parametrize(
    ("steps", "level"), [([50, 40, 60], "fine"), ([0, 0, 15_000_000, 0], "advice"), ([50, -10, 50], "problem")]
)
def test_the_clock_is_judged_by_its_steps(steps, level):
    assert judge_timer(steps).level == level


@pytest.mark.parametrize(("floor", "level"), [(0.01, "fine"), (0.05, "advice"), (0.5, "problem")])
def test_noise_is_judged_by_what_it_hides(floor, level):
    tested = self_test.SelfTest(ratios={"a": 1 + floor}, noise_floor=floor, centre=1.0, seconds=1.0)
    assert finding(assess(tested, environment()), "noise_floor").level == level


def test_contention_seen_by_the_canary_alone_is_told():
    quiet = self_test.conclude(twins(canary=[1.0] * 100), policy=DEFAULT, seconds=1.0)
    shared = self_test.conclude(twins(canary=[1.0] * 60 + [1.4] * 40), policy=DEFAULT, seconds=1.0)
    assert quiet.contaminated == 0.0
    assert shared.contaminated == 0.4
    assert finding(assess(quiet, environment()), "canary").level == "fine"
    assert finding(assess(shared, environment()), "canary").level == "advice"


def test_steal_during_the_self_test_is_told():
    for share, level in ((0.001, "fine"), (0.02, "advice"), (0.2, "problem")):
        tested = self_test.SelfTest(ratios={"a": 1.0}, noise_floor=0.0, centre=1.0, steal_share=share, seconds=1.0)
        assert finding(assess(tested, environment()), "steal").level == level


def test_false_alarms_beyond_what_a_preset_may_have_are_a_problem():
    for share, level in ((0.0, "fine"), (0.01, "fine"), (0.05, "problem")):
        tested = self_test.SelfTest(
            ratios={"a": 1.0}, noise_floor=0.0, centre=1.0, called_different={"rigorous": share}, seconds=1.0
        )
        assert finding(assess(tested, environment()), "false_alarms").level == level


def test_a_diagnosis_reads_worst_first_and_survives_json():
    diagnosis = diagnose(policy=QUICK)
    text = as_text(diagnosis, false_alarms=FALSE_ALARMS)
    assert "Noise floor" in text
    levels = [line.split()[0] for line in text.splitlines() if line.split()[:1] in (["PROBLEM"], ["advice"], ["fine"])]
    assert levels == sorted(levels, key=["PROBLEM", "advice", "fine"].index)
    assert Diagnosis.model_validate_json(diagnosis.model_dump_json()) == diagnosis
