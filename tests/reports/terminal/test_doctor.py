"""A diagnosis begins with what needs attention."""

from __future__ import annotations

import pytest

from harness.doctor.diagnosis import Diagnosis, Finding
from harness.doctor.self_test import SelfTest
from harness.records import Environment
from reports.terminal.doctor import as_text


def test_a_diagnosis_begins_with_the_problems():
    findings = [
        Finding(name="turbo", level="fine", found="off"),
        Finding(name="threads", level="problem", found="9 for 8 cores", advice="--threads 8"),
        Finding(name="clock_source", level="unknown", found="no file"),
    ]
    tested = SelfTest(ratios={"a": 1.0}, noise_floor=0.012, centre=1.0, called_different={"default": 0.03}, seconds=2.0)
    diagnosis = Diagnosis(
        environment=Environment(id="x", stable={"cpu": "a processor"}), findings=findings, self_test=tested
    )
    lines = as_text(diagnosis, false_alarms={"default": 0.02}).splitlines()
    assert lines[0] == "a processor"
    assert [line.split()[0] for line in lines[2:6]] == ["PROBLEM", "->", "unknown", "fine"]
    assert lines[3].strip() == "-> --threads 8"
    assert "clock source" in lines[4]
    assert lines[-1] == "Copies called different in a default run: 3.0% (at most 2%)."


def diagnosis(findings, *, stable, **tested):
    known = {"ratios": {"a": 1.0, "b": 1.0}, "noise_floor": 0.012, "centre": 1.00049, "seconds": 12.4}
    return Diagnosis(
        environment=Environment(id="x", stable=stable),
        findings=findings,
        self_test=SelfTest(**{**known, "called_different": {}, **tested}),
    )


@pytest.mark.parametrize(
    ("stable", "name"),
    [({"cpu": "a processor", "gpu": "a card"}, "a card"), ({"cpu": "a processor", "gpu": ""}, "a processor"),
     ({}, "this machine")],
)  # fmt: skip
def test_the_machine_is_named_by_what_is_measured(stable, name):
    found = diagnosis([Finding(name="turbo", level="fine", found="off")], stable=stable)
    assert as_text(found, false_alarms={}).splitlines()[0] == name


def test_findings_of_one_level_keep_their_order_and_stand_in_columns():
    findings = [Finding(name=name, level="fine", found=f"found {name}") for name in ("long_name_here", "b", "a")]
    lines = as_text(diagnosis(findings, stable={}), false_alarms={}).splitlines()[2:5]
    assert [line.split()[-1] for line in lines] == ["long_name_here", "b", "a"]
    assert len({line.index("found") for line in lines}) == 1


def test_the_self_test_is_told_with_its_presets():
    found = diagnosis([Finding(name="turbo", level="fine", found="off")], stable={},
                      called_different={"default": 0.0, "rigorous": 0.034})  # fmt: skip
    assert as_text(found, false_alarms={"default": 0.02, "rigorous": 0.01}).splitlines()[-4:] == [
        "Self-test: 2 calls, each timed under two names, 12 s.",
        "Noise floor 1.2%; the median ratio of the copies is 1.0005.",
        "Copies called different in a default run: 0.0% (at most 2%).",
        "Copies called different in a rigorous run: 3.4% (at most 1%).",
    ]
