"""`attnbench check` takes the options of a check, writes what it is asked for, and ends with the check's code."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from attnbench.console import USAGE
from harness.runner.check import Report
from tests.support.commands import in_process


@pytest.mark.usefixtures("worker_here")
def test_json_is_the_report_and_a_junit_file_has_its_probes(tmp_path):
    junit = tmp_path / "new" / "check.xml"
    words = ["--impl", "batched", "--dtype", "float32", "--dtype", "float64", "-k", "n 2,", "--seed", "3"]
    done = in_process("check", *words, "--device", "cpu", "--json", "--junit", str(junit))
    assert done.exit_code == 0
    report = Report.model_validate(json.loads(done.stdout))
    assert {outcome.status for outcome in report.outcomes} == {"ok"}
    assert {(outcome.probe, outcome.seed) for outcome in report.outcomes} == {("n 2", 3)}
    # Two dtypes, forward and backward.
    assert len(report.outcomes) == len(ET.parse(junit).findall(".//testcase")) == 4


@pytest.mark.usefixtures("worker_here")
def test_a_check_of_nothing_shows_its_table_says_so_and_fails():
    done = in_process("check", "--impl", "batched", "--dtype", "float32", "-k", "no such probe", "--device", "cpu")
    assert done.exit_code == USAGE
    assert "nothing was checked: no probe" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--problem", "atention"], "no problem 'atention'; did you mean 'attention'? have: attention"),
        (["--junit", "{taken}/check.xml"], "can't write {taken}/check.xml: "),
        (["--device", "tpu"], "no device 'tpu'"),
    ],
)
def test_a_mistake_is_told_before_anything_is_examined(words, message, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("a file, and no folder")
    done = in_process("check", *(word.format(taken=taken) for word in words))
    assert done.exit_code == USAGE
    assert done.stderr.startswith("attnbench: " + message.format(taken=taken))
    assert len(done.stderr.splitlines()) == 1


def test_a_seed_beyond_what_generators_take_is_refused():
    done = in_process("check", "--seed", str(2**63))
    assert done.exit_code == USAGE
    assert "--seed" in done.stderr
