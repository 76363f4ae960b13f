"""The worker answers each request with its message, and turns whatever is raised into a status."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import typing

import pytest
import torch

from harness.policy import DEFAULT
from harness.protocol import messages
from harness.protocol.messages import encode
from harness.worker import __main__ as worker_process
from harness.worker.__main__ import Worker, failure, handlers
from tests.support.places import ROOT
from tests.support.runs import ok_case

CASE = ok_case("einsum", n=16, d=8)


def ask(worker, request):
    return worker.answer(encode(request))


def visit(case):
    return messages.Visit(case=case, seed=3, calls=3, blocks=3, index=4, process=1)


def test_there_is_an_answer_to_every_request():
    assert {messages.Start, *handlers()} == set(typing.get_args(messages.Request))


def test_collections_wait_for_the_imports_of_a_start_and_go_on_after_them_even_if_one_fails(monkeypatch):
    enabled = []

    def failing():
        enabled.append(gc.isenabled())
        raise ImportError("libcudart.so")

    monkeypatch.setattr(worker_process, "handlers", failing)
    failed = ask(Worker(announce=str), messages.Start(device="cpu", policy=DEFAULT))
    assert "libcudart.so" in failed.reason
    assert enabled == [False]
    assert gc.isenabled()


def test_a_case_that_replaces_a_clock_is_invalid_and_the_clock_put_back(worker, planted):
    clock = time.perf_counter

    def cheats(q, k, v, **_):
        time.perf_counter = lambda: 0.0
        return torch.softmax(q @ k.mT / 8**0.5, -1) @ v

    refused = ask(worker, visit(planted(cheats)))
    assert (refused.status, refused.reason) == ("invalid", "it replaced time.perf_counter")
    assert time.perf_counter is clock


def test_a_case_that_changes_the_process_is_invalid_and_the_next_is_as_before(worker, planted):
    def alone(q, k, v, **_):
        torch.set_default_dtype(torch.float64)
        torch.equal = lambda *_: True
        return torch.softmax(q @ k.mT / 8**0.5, -1) @ v

    equal = torch.equal
    refused = ask(worker, visit(planted(alone)))
    assert (refused.status, refused.reason) == (
        "invalid",
        "it replaced torch.equal, changed default dtype from torch.float32 to torch.float64",
    )
    assert torch.equal is equal
    assert torch.get_default_dtype() == torch.float32
    assert isinstance(ask(worker, visit(CASE)), messages.Visited)


@pytest.mark.parametrize("error", [SystemExit(7), KeyboardInterrupt(), ValueError("no such tile\nand more")])
def test_whatever_an_implementation_raises_becomes_a_status(worker, planted, error):
    def raises(*_, **__):
        raise error

    failed = ask(worker, messages.Prepare(case=planted(raises), seed=1))
    assert isinstance(failed, messages.Failed)
    assert failed.status == "crashed"
    assert failed.reason.startswith(type(error).__name__)
    assert "(test_worker.py:" in failed.reason
    assert isinstance(ask(worker, visit(CASE)), messages.Visited), "the worker goes on"


@pytest.mark.parametrize(
    ("error", "status", "is_gone"),
    [
        (MemoryError(), "oom", False),
        (RuntimeError("CUDA out of memory. Tried"), "oom", False),
        (NotImplementedError("not here"), "unsupported", False),
        (RuntimeError("No available kernel. Aborting"), "unsupported", False),
        # Whether the worker goes on is asked of the device: tests/test_lost_context.py.
        (RuntimeError("CUDA error: an illegal memory access"), "crashed", False),
        (ValueError(), "crashed", False),
    ],
)
def test_an_error_has_the_status_that_its_kind_says(error, status, is_gone):
    failed = failure(error)
    assert (failed.status, failed.worker_gone) == (status, is_gone)
    assert failed.reason.startswith(type(error).__name__)


def test_a_reason_that_ends_with_a_colon_goes_on_with_the_lines_below_it():
    reason = failure(NotImplementedError("No operator found for these inputs:\n  fa3 is not built\n  d is 16")).reason
    assert reason == "NotImplementedError: No operator found for these inputs: fa3 is not built d is 16"
    assert failure(RuntimeError("First line.\nSecond")).reason.startswith("RuntimeError: First line. (") is False
    assert failure(RuntimeError("First line.\nSecond")).reason == "RuntimeError: First line."


def test_what_is_no_request_fails_in_a_line(worker):
    failed = worker.answer({"do": "flsh"})
    assert failed.status == "crashed"
    assert failed.reason.startswith("MessageError: no message 'flsh'; have: 'start', ")
    early = Worker(announce=print).answer(encode(messages.Describe()))
    assert "'describe' before 'start'" in early.reason


def test_the_process_imports_torch_no_sooner_than_it_is_told_to():
    code = "import sys, harness.worker.__main__; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_case_is_prepared_without_the_compiler_and_what_it_imports():
    code = """
import sys
from harness.policy import DEFAULT
from harness.protocol import messages
from harness.worker.__main__ import Worker
from tests.support.runs import ok_case
worker = Worker(announce=lambda step: None)
worker.answer(messages.encode(messages.Start(device="cpu", policy=DEFAULT)))
answer = worker.answer(messages.encode(messages.Prepare(case=ok_case("batched", n=16, d=8), seed=1)))
print(answer.kind, answer.prepared.counts.how, [name for name in ("sympy", "torch._dynamo") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "prepared counted []"
