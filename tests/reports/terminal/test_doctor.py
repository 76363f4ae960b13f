"""A diagnosis begins with what needs attention."""

from __future__ import annotations

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
