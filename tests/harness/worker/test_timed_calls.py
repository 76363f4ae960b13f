"""What the last of many timed calls gave is held against the first, and results kept by address are found."""

from __future__ import annotations

import pytest
import torch

from harness.protocol import messages
from tests.harness.worker.test_worker import CASE, ask, visit


def wrong_after(calls, *, by=1.5):
    """Return a kernel that is right for so many calls on the same values, and wrong from then on."""
    known = {"first": None, "calls": 0}

    def drifts(q, k, v, **_):
        first = float(q.detach().reshape(-1)[0])
        known["calls"] = known["calls"] + 1 if first == known["first"] else 0
        known["first"] = first
        return torch.softmax(q @ k.mT / 8**0.5, -1) @ v * (by if known["calls"] >= calls else 1.0)

    return drifts


@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
def test_a_kernel_that_is_wrong_only_when_called_in_a_row_is_refused(worker, planted, direction):
    case = planted(wrong_after(8)).model_copy(update={"direction": direction})
    long = messages.Visit(case=case, seed=3, calls=20, blocks=1, index=0, process=0)
    short = long.model_copy(update={"calls": 4})
    assert isinstance(ask(worker, short), messages.Visited)
    refused = ask(worker, long)
    assert (refused.status, refused.reason[:21]) == ("disagreed", "in the timed calls, t")
    assert "the last gave" in refused.reason


def test_results_that_differ_within_rounding_are_left_to_the_gate(worker, planted):
    case = planted(wrong_after(8, by=1.0 + 2**-23))
    long = messages.Visit(case=case, seed=3, calls=20, blocks=1, index=0, process=0)
    assert isinstance(ask(worker, long), messages.Visited)


def test_an_answer_kept_by_address_is_refused_while_it_is_timed(worker, planted):
    kept = {}

    def replays(q, k, v, **_):
        key = (q.data_ptr(), k.data_ptr(), v.data_ptr())
        if key not in kept:
            kept[key] = torch.softmax(q @ k.mT / 8**0.5, -1) @ v
        return kept[key].clone()

    refused = ask(worker, visit(planted(replays)))
    assert (refused.status, refused.reason) == (
        "disagreed",
        "in the timed calls, new values in its inputs gave the results of the old ones",
    )


@pytest.mark.parametrize("direction", ["backward", "forward+backward"])
@pytest.mark.parametrize("calls", [1, 2, 5])
def test_honest_gradients_are_timed_on_new_values(worker, direction, calls):
    case = CASE.model_copy(update={"direction": direction})
    request = messages.Visit(case=case, seed=3, calls=calls, blocks=2, index=0, process=0)
    for _ in range(2):
        assert len(ask(worker, request).round.samples) == 2
