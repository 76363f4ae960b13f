"""`attnbench doctor` shows a diagnosis as text or JSON, and rehearses on a GPU alone."""

from __future__ import annotations

import json

import pytest
import torch
from typer.testing import CliRunner

from attnbench.app import make_app
from attnbench.console import USAGE
from harness.doctor import diagnosis, rehearsal
from harness.doctor.self_test import SelfTest
from harness.policy import DEFAULT
from tests.support.commands import in_process
from tests.support.runs import environment


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_there_is_nothing_to_rehearse(tmp_path):
    result = CliRunner().invoke(make_app(), ["doctor", "--rehearse", str(tmp_path / "r.json")])
    assert result.exit_code == 2
    assert "no device 'cuda' here" in result.stderr
    assert not (tmp_path / "r.json").exists()


@pytest.mark.gpu
def test_a_real_gpu_answers_in_three_minutes(tmp_path):
    result = CliRunner().invoke(make_app(), ["doctor", "--rehearse", str(tmp_path / "r.json")])
    assert result.exit_code == 0
    answers = rehearsal.Rehearsal.model_validate_json((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert answers.reasons == {}
    assert [row.implementation for row in answers.recorded if row.fallback] == []
    assert sum(answers.seconds.values()) < 180


@pytest.fixture
def asked(monkeypatch):
    """Have a diagnosis at hand instead of half a minute of measuring; return what was asked for."""
    found = diagnosis.Diagnosis(
        environment=environment("cpu", "Planted CPU"),
        findings=[
            diagnosis.Finding(name="timer", level="fine", found="smallest step 20 ns"),
            diagnosis.Finding(name="load_average", level="problem", found="load 9", advice="wait"),
        ],
        self_test=SelfTest(ratios={}, centre=1.0, noise_floor=0.02, called_different={"default": 0.01}, seconds=3.0),
    )
    given = []

    def diagnose(**options):
        given.append(options)
        return found

    monkeypatch.setattr(diagnosis, "diagnose", diagnose)
    return given


def test_text_begins_with_the_machine_and_what_needs_attention(asked):
    done = in_process("doctor", "--device", "cpu")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "Planted CPU"
    assert lines[2].startswith("PROBLEM  load average  load 9")
    assert lines[3].endswith("-> wait")
    assert "Copies called different in a default run: 1.0% (at most 2%)." in lines
    assert asked == [{"device": "cpu", "policy": DEFAULT, "threads": None, "is_full": False}]


def test_json_is_the_whole_diagnosis(asked):
    done = in_process("doctor", "--device", "cpu", "--threads", "1", "--aa", "--json")
    assert done.exit_code == 0
    read = diagnosis.Diagnosis.model_validate(json.loads(done.stdout))
    assert [finding.level for finding in read.findings] == ["fine", "problem"]
    assert (asked[0]["threads"], asked[0]["is_full"]) == (1, True)


def test_a_cpu_is_not_rehearsed(tmp_path):
    done = in_process("doctor", "--device", "cpu", "--rehearse", str(tmp_path / "r.json"))
    assert done.exit_code == USAGE
    assert done.stderr == "attnbench: --rehearse asks a GPU, and cpu is none\n"
    assert not (tmp_path / "r.json").exists()


def test_a_file_that_can_not_be_written_is_named_before_anything_is_asked(tmp_path):
    (tmp_path / "taken").write_text("a file, and no folder")
    done = in_process("doctor", "--device", "cpu", "--rehearse", str(tmp_path / "taken" / "r.json"))
    assert done.exit_code == USAGE
    assert done.stderr.startswith(f"attnbench: can't write {tmp_path}/taken/r.json: ")
