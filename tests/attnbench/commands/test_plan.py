"""`attnbench plan` says what a case costs, what is skipped and why, and plans for a GPU that is not here."""

from __future__ import annotations

import re

import pytest

from attnbench.commands.plan import show
from attnbench.console import USAGE
from harness.policy import DEFAULT
from harness.records import PlannedCase, Prediction
from harness.results.plan_file import DroppedPoint, Plan
from scenarios import catalog
from tests.support import runs
from tests.support.commands import in_process


def test_a_plan_says_what_a_case_costs_and_why_one_is_skipped(capsys):
    case = runs.ok_case(n=64)
    cost = Prediction(operations=2_000_000, extra_bytes=1536, resident_bytes=0, seconds=0.0021)
    shown = Plan.model_construct(
        device="cpu",
        policy=DEFAULT,
        scenarios=[catalog.find("smoke")],
        cases=[
            PlannedCase(case=case, predicted=cost),
            PlannedCase(case=case, predicted=cost, skip="predicted_oom", reason="needs 2 TiB"),
            PlannedCase(case=case, skip="unsupported", reason="no d_v"),
        ],
        dropped=[DroppedPoint(scenario="smoke", point={"n": 1}, reason="too small")],
    )
    show(shown)
    first, second, third, dropped, last, whole = capsys.readouterr().out.splitlines()
    assert first.endswith(": 2.00 MFLOP, 1.50 KiB extra, 2.10 ms")
    assert second.endswith("2.10 ms; predicted_oom: needs 2 TiB")
    assert third.endswith(": unsupported: no d_v")
    assert dropped == "smoke n=1: dropped, too small"
    assert last == "3 cases, 1 to run; one call of each takes 2.10 ms or so"
    assert re.fullmatch(r"a run of them takes about \d+ s or more; its time budget is 5 min", whole)


def test_a_plan_of_several_scenarios_says_whose_a_case_is_and_what_a_budget_does_to_it(capsys):
    cost = Prediction(operations=2_000_000, extra_bytes=0, resident_bytes=0, seconds=60.0)
    cases = [runs.ok_case(n=64), runs.ok_case(n=128), runs.ok_case(scenario="smoke", n=16)]
    shown = Plan.model_construct(
        device="cpu",
        policy=DEFAULT,
        scenarios=[catalog.find("sequence-length"), catalog.find("smoke")],
        cases=[PlannedCase(case=case, predicted=cost) for case in cases],
        dropped=[],
    )
    show(shown)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("#")] == ["# sequence-length", "# smoke"]
    assert lines[1].endswith(": 2.00 MFLOP, no extra memory, 60.0 s")
    assert re.fullmatch(r"a run of them takes about \d+ min or more; its time budget is 5 min", lines[-2])
    assert lines[-1].startswith("a run leaves out what that does not hold")


@pytest.mark.usefixtures("worker_here")
def test_a_broken_implementation_file_is_told_of_where_another_is_chosen(tmp_path):
    (tmp_path / "broken.py").write_text("def (")
    done = in_process("plan", "smoke", "--impl", "loop", "--device", "cpu", "--impl-file", str(tmp_path / "broken.py"))
    assert done.exit_code == 0
    assert "broken.py: SyntaxError" in done.stderr


@pytest.mark.usefixtures("worker_here")
def test_a_point_too_large_to_plan_is_skipped_with_a_reason():
    done = in_process("plan", "smoke", "--impl", "loop", "--device", "cpu", "-a", "n=16,1099511627776")
    assert done.exit_code == 0
    assert "predicted_oom: 0 score buffers" in done.stdout


ONE_CASE = ("smoke", "--impl", "batched", "-a", "n=16")


@pytest.fixture
def empty(worker_here):
    """Name the shard that is empty where one case is in one of two."""
    first = in_process("plan", *ONE_CASE, "--shard", "1/2")
    assert first.exit_code == 0
    return "1/2" if "is empty" in first.output else "2/2"


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_an_empty_shard_of_a_legal_split_is_fine_and_says_so(verb, empty, tmp_path):
    output = ["-o", str(tmp_path / "run")] if verb == "run" else []
    done = in_process(verb, *ONE_CASE, *output, "--shard", empty)
    assert done.exit_code == 0
    assert f"shard {empty} of one case is empty: nothing to do" in done.output


@pytest.mark.usefixtures("worker_here")
def test_a_plan_for_a_gpu_that_is_not_here_is_modelled_and_says_so():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    result = in_process("plan", "head-dim", "--device", "cuda", "--impl", "sdpa-flash")
    assert result.exit_code == 0
    assert "The plan is for an NVIDIA H100 80GB HBM3, by its datasheet: nothing was measured" in result.stderr
    assert "a run of them takes about" in result.stdout
    assert "its time budget is 13 min" in result.stdout
    assert "sdpa-flash n=4096,heads=16,batch=1,d=64 bfloat16" in result.stdout


@pytest.mark.usefixtures("worker_here")
def test_a_plan_for_a_gpu_that_is_not_here_does_not_miss_packages_that_are_not_here():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    result = in_process("plan", "compiled", "--device", "cuda", "--impl", "flex")
    assert "unavailable" not in result.stdout
    assert "12 cases, 12 to run" in result.stdout


def test_what_is_no_device_is_not_planned_for():
    result = in_process("plan", "smoke", "--device", "cuda2")
    assert result.exit_code == USAGE
    assert result.stdout == ""
    assert "no device 'cuda2': have cpu, cuda, cuda:N, mps" in result.stderr
