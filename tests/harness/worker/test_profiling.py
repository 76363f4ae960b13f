"""A worker takes a right call apart, only makes it where asked to, and refuses a wrong one."""

from __future__ import annotations

import pytest
import torch

from harness.instruments.parts import Parts
from harness.protocol import messages
from harness.worker import profiling
from tests.harness.worker.test_worker import CASE, ask
from tests.support.runs import ok_case


def request(case, folder, **more):
    return messages.ProfileCase(case=case, seed=1, seconds=0.2, trace=str(folder / "trace.json.gz"), **more)


@pytest.mark.parametrize(
    ("name", "largest"), [("batched", "aten::bmm"), ("sdpa-flash", "aten::_scaled_dot_product_flash_attention_for_cpu")]
)
def test_the_operator_with_the_largest_share_is_named(worker, tmp_path, name, largest):
    found = ask(worker, request(ok_case(name, n=256, d=64), tmp_path)).found
    assert found.agreement.passed
    assert found.parts[0].name == largest
    assert sum(part.seconds for part in found.parts) == pytest.approx(found.profiled_seconds)
    assert found.calls % 2 == 1
    assert (tmp_path / "trace.json.gz").stat().st_size > 0
    assert found.allocated_bytes >= found.peak_bytes > 0


def test_bare_calls_are_made_and_nothing_is_written(worker, tmp_path):
    found = ask(worker, request(CASE, tmp_path, bare=True)).found
    assert found.call_seconds > 0.0
    assert found.calls >= 3
    assert (found.parts, list(tmp_path.iterdir())) == ([], [])


def test_a_wrong_answer_is_not_profiled(worker, planted, tmp_path):
    case = planted(lambda q, *_, **__: torch.zeros_like(q))
    answer = worker.answer(messages.encode(request(case, tmp_path)))
    assert isinstance(answer, messages.Refused)
    assert answer.status == "disagreed"
    assert list(tmp_path.iterdir()) == []


def test_of_the_sessions_of_short_calls_the_shortest_counts_and_long_calls_have_one(worker, tmp_path, monkeypatch):
    taken = iter([(3.0, Parts([], 3.0, 0)), (1.0, Parts([], 1.5, 0)), (2.0, Parts([], 2.0, 0))] * 2)
    counts = []

    def session(*_, count):
        counts.append(count)
        return next(taken)

    monkeypatch.setattr(profiling, "_session", session)
    short = ask(worker, request(CASE, tmp_path)).found
    assert (short.call_seconds, short.profiled_seconds) == (1.0, 1.5)
    assert counts == [profiling.CALLS_AT_MOST] * profiling.SESSIONS
    monkeypatch.setattr(profiling, "_count", lambda *_: profiling.CALLS_AT_LEAST)
    assert ask(worker, request(CASE, tmp_path)).found.call_seconds == 3.0
    assert counts[profiling.SESSIONS :] == [profiling.CALLS_AT_LEAST]
