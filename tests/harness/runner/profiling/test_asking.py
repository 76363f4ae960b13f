"""One case of a plan is chosen, or a line says which there are; a refusal comes back as it is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.protocol import messages
from harness.records import Environment, PlannedCase
from harness.runner.profiling import asking
from harness.runner.selection import SelectionError
from tests.support.profiles import CEILINGS, case_profile
from tests.support.runs import ok_case


def plan(*cases):
    return SimpleNamespace(cases=[PlannedCase(case=case, skip=skip, reason=reason) for case, skip, reason in cases])


def test_the_one_that_can_run_is_chosen():
    here, there = ok_case("batched", n=16), ok_case("sdpa-cudnn", n=16)
    assert asking.choose(plan((here, None, ""), (there, "unsupported", "no CUDA"))).case == here
    with pytest.raises(SelectionError, match=r"no case can run here; sdpa-cudnn .*: no CUDA"):
        asking.choose(plan((there, "unsupported", "no CUDA")))


def test_several_are_named_and_an_id_chooses_among_them():
    cases = [ok_case("batched", n=n) for n in (16, 32, 64, 128, 256)]
    several = plan(*((case, None, "") for case in cases))
    with pytest.raises(SelectionError, match=r"one case is profiled, and 5 match: batched .*; and 1 more\. Narrow"):
        asking.choose(several)
    assert asking.choose(several, identity=cases[2].id).case == cases[2]
    with pytest.raises(SelectionError, match="no case '0123' in it"):
        asking.choose(several, identity="0123")


class Answering:
    """A supervisor that gives what was made for it, and keeps what it was asked."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def ask(self, request, *, seconds):
        self.asked.append((request, seconds))
        return self.answer

    def require(self, request):
        self.asked.append((request, None))
        return messages.EnvironmentMeasured(environment=Environment(id="a", stable={}, ceilings=CEILINGS))


def test_what_a_worker_found_is_held_against_the_ceilings(tmp_path):
    supervisor = Answering(messages.Profiled(found=case_profile(), calls_seconds=0.1))
    planned = PlannedCase(case=ok_case("batched", n=16))
    found = asking.profile(supervisor, planned, seed=3, trace=tmp_path / "t.json.gz")
    assert (found.bound.by, found.ceilings) == ("arithmetic", CEILINGS)
    assert supervisor.asked[0][0].seed == 3
    assert asking.profile(supervisor, planned, seed=3, trace=tmp_path / "t", is_bare=True).ceilings == []


def test_a_refusal_is_returned_and_nothing_more_is_measured(tmp_path):
    refused = messages.Refused(status="disagreed", reason="out max", calls_seconds=0.1)
    supervisor = Answering(refused)
    assert asking.profile(supervisor, PlannedCase(case=ok_case("x", n=16)), seed=0, trace=tmp_path / "t") == refused
    assert len(supervisor.asked) == 1
