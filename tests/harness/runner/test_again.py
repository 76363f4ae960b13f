"""Cases are measured again where the machine, the code and the sources are those of the run, and only there."""

from __future__ import annotations

import json
import sys

import pytest

from harness.machine.host import Facts, host_stable
from harness.results.run import read_run
from harness.runner import again
from harness.runner.plan import code_fingerprint
from reports.terminal.progress import Lines, Reporter
from tests.support import runs
from tests.support.commands import in_process

pytestmark = pytest.mark.usefixtures("no_page")


def stored(directory, *, stable=None, fingerprint=None):
    """Write a run of this machine and this code, but for what is given."""
    runs.write_run(directory, [runs.ok_record(n=64)], judged=False)
    here = Facts()
    host_stable(here)
    for name, part, known in (
        ("environment.json", "stable", {**here.values, **(stable or {})}),
        ("plan.json", "fingerprint", {**code_fingerprint(), **(fingerprint or {})}),
    ):
        document = json.loads((directory / name).read_text())
        (directory / name).write_text(json.dumps({**document, part: known}))
    return read_run(directory)


def measure(run, tmp_path):
    return again.measure_again(run, {run.records[0].case.id}, tmp_path / "again", progress=Reporter(Lines(sys.stderr)))


def test_on_another_machine_nothing_is_measured(tmp_path):
    run = stored(tmp_path / "run", stable={"cpu": "Another CPU", "cpu_cores": 999})
    with pytest.raises(again.NotAtHandError, match=r"its machine is another: cpu, cpu_cores"):
        measure(run, tmp_path)
    assert not (tmp_path / "again").exists()


def test_under_other_code_nothing_is_measured(tmp_path):
    with pytest.raises(again.NotAtHandError, match="the code is not that of the run: torch changed"):
        measure(stored(tmp_path / "run", fingerprint={"torch": "2.0.0"}), tmp_path)


def test_a_run_without_a_plan_can_not_be_measured_again(tmp_path):
    run = stored(tmp_path / "run")
    (tmp_path / "run" / "plan.json").unlink()
    with pytest.raises(again.NotAtHandError, match="has no plan"):
        measure(read_run(run.path), tmp_path)


@pytest.mark.slow
def test_a_gate_fails_on_what_repeats_and_passes_what_does_not(tmp_path):
    """A run is held against copies of itself whose times are a thousandth of what they were, and a thousand times."""
    kernel = tmp_path / "kernel.py"
    kernel.write_text(
        "from attnbench import register\n"
        "@register(problem='attention', name='mine', devices=('cpu',), dtypes=('float32',))\n"
        "def mine(q, k, v, *, causal=False, scale=None, valid_lens=None):\n"
        "    return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v\n"
    )
    command = ["run", "sequence-length", "-a", "n=64", "--impl", "mine", "--impl-file", str(kernel), "--fast"]
    # Threads that wait for each other on a busy machine take hundreds of times as long.
    command += ["--threads", "1"]
    assert in_process(*command, "--device", "cpu", "-o", str(tmp_path / "run")).exit_code == 0
    gate = ("--fail-on", "slower:50%", "--recheck")
    true = in_process("compare", str(scaled(tmp_path / "run", 0.001)), str(tmp_path / "run"), *gate)
    assert (true.exit_code, "FAILED in 1 of 1 case" in true.stdout) == (1, True), true.stderr
    false = in_process("compare", str(tmp_path / "run"), str(scaled(tmp_path / "run", 1000.0)), *gate)
    assert (false.exit_code, "1 case did not repeat" in false.stdout) == (0, True), false.stderr
    kernel.write_text(kernel.read_text().replace("-0.5", "-0.50"))
    other = in_process("compare", str(tmp_path / "run"), str(tmp_path / "run times 1000.0"), *gate)
    assert other.exit_code == 1
    assert "not measured again, the source of attention mine is not that of the run" in other.stderr


def scaled(directory, factor):
    """Copy a run with every time of its records multiplied."""
    target = directory.with_name(f"{directory.name} times {factor}")
    target.mkdir()
    for name in ("plan.json", "environment.json"):
        (target / name).write_text((directory / name).read_text())
    lines = [json.loads(line) for line in (directory / "journal.jsonl").read_text().splitlines()]
    for line in lines:
        time = line["record"]["time"] if line["kind"] == "record" else None
        for name in ("median", "low", "high", "best", "value", "value_low", "value_high") if time else ():
            time[name] *= factor
    (target / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return target
