"""What goes wrong from a power of two on, and what ends the process, is found by the run at its own shape."""

from __future__ import annotations

import pytest

from harness import policy
from harness.runner.execute import exit_code, plan_and_execute
from harness.runner.selection import Request, Selection
from reports.terminal.progress import Lines, Quiet
from scenarios.claims import A2
from scenarios.scenario import Axis, Scenario

KERNELS = """
import os
import signal

import torch
from attnbench import register


def attend(q, k, v, positions, scale):
    seen = torch.arange(k.shape[2]) <= positions[:, None]
    scores = (q * (q.shape[-1] ** -0.5 if scale is None else scale)) @ k.mT
    return scores.masked_fill(~seen, float("-inf")).softmax(-1).nan_to_num() @ v


def positions_of(q, k):
    return torch.arange(q.shape[2]) + k.shape[2] - q.shape[2]


@register(problem="attention", name="short-positions", supports=("causal",))
def short_positions(q, k, v, *, causal=False, scale=None, valid_lens=None):
    return attend(q, k, v, positions_of(q, k).to(torch.int16), scale)


@register(problem="attention", name="divides", supports=("causal",))
def divides(q, k, v, *, causal=False, scale=None, valid_lens=None):
    if k.shape[2] == 32768:
        os.kill(os.getpid(), signal.SIGFPE)
    return attend(q, k, v, positions_of(q, k), scale)
"""
RIGHT, WRONG = [16384, 32704, 32768], [40000, 65600]


@pytest.mark.slow
def test_a_step_at_a_power_of_two_is_found_and_no_law_is_drawn_from_what_remains(tmp_path):
    (tmp_path / "kernels.py").write_text(KERNELS)
    claim = A2.model_copy(update={"exponents": {"n_k": 1.0}})
    scenario = Scenario(
        name="step",
        question="?",
        axes=[Axis(name="n_k", values=[*RIGHT, *WRONG])],
        base={"n_q": 1, "d": 32, "causal": True},
        claims=[claim],
    )
    request = Request(
        scenarios=(scenario,),
        selection=Selection(implementations=("short-positions", "divides")),
        device="cpu",
        policy=policy.FAST,
        preset="fast",
        impl_files=(str(tmp_path / "kernels.py"),),
        threads=1,
    )
    finished = plan_and_execute(request, tmp_path / "run", progress=Quiet(Lines()))
    found = {(r.case.implementation, r.case.point["n_k"]): r.status for r in finished.records}
    assert {n: status for (name, n), status in found.items() if name == "short-positions"} == {
        **dict.fromkeys(RIGHT, "ok"),
        **dict.fromkeys(WRONG, "disagreed"),
    }
    assert [n for (name, n), status in found.items() if name == "divides" and status == "crashed"] == [32768]
    assert sum(name == "divides" and status == "ok" for (name, _), status in found.items()) >= 3
    (crashed,) = [record for record in finished.records if record.status == "crashed"]
    assert "killed by SIGFPE" in crashed.reason
    assert exit_code(finished.records) == 3
    verdicts = {v.implementation: v for v in finished.verdicts.verdicts if v.quantity == "all"}
    assert verdicts["short-positions"].verdict == "inconclusive"
    assert verdicts["short-positions"].reason.sizes == WRONG
    assert getattr(verdicts["divides"].reason, "sizes", None) is None
