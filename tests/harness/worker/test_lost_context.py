"""A context that is lost costs the case that lost it and no other, in whatever words the loss is told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from harness.instruments import cuda
from harness.protocol import messages
from harness.worker.__main__ import Worker, failure
from harness.worker.stages import Stages
from harness.worker.workbench import CallsAccount
from tests.support.simulated_cuda import Simulated

ASK = messages.encode(messages.Describe())
DESCRIBED = messages.Described(device_name="a GPU", implementations=[], threads=1)
ILLEGAL = "an illegal memory access was encountered"


@pytest.fixture
def worker(monkeypatch):
    """Return a function that makes a worker on a simulated GPU, which answers by `handler`."""

    def make(handler, *, device="cuda:0"):
        simulated = Simulated()
        monkeypatch.setattr(cuda, "DRIVER", simulated)
        made = Worker(announce=lambda _step: None)
        made._bench = SimpleNamespace(
            device=torch.device(device), calls=CallsAccount(), stages=Stages(), has_context=device != "cpu"
        )
        made._handlers = {messages.Describe: lambda _bench, _request: handler(simulated)}
        return made, simulated

    return make


def raising(error, *, lost):
    """Return a handler whose kernel kills the context, or doesn't, and which then raises."""

    def handle(simulated):
        if lost:
            simulated.lose(ILLEGAL)
        raise error

    return handle


class CUDARuntimeError(RuntimeError):
    """As CuPy names it."""


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(f"Triton Error [CUDA]: {ILLEGAL}"),
        CUDARuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered"),
        RuntimeError("cudaErrorLaunchFailed"),
        RuntimeError(f"CUDA error: {ILLEGAL}"),
        ValueError("something else entirely"),
    ],
)
def test_a_lost_context_is_found_by_asking_the_device(worker, error):
    answer = worker(raising(error, lost=True))[0].answer(ASK)
    assert (answer.status, answer.worker_gone) == ("crashed", True)


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA error: invalid argument"), RuntimeError("Triton Error [CUDA]: invalid argument")]
)
def test_a_worker_whose_device_still_computes_is_kept(worker, error):
    answer = worker(raising(error, lost=False))[0].answer(ASK)
    assert (answer.status, answer.worker_gone) == ("crashed", False)


def test_a_fault_of_a_kernel_is_told_by_the_request_that_launched_it(worker):
    def handle(simulated):
        simulated.launch(1_000, fault=ILLEGAL)
        return DESCRIBED

    answer = worker(handle)[0].answer(ASK)
    assert (answer.status, answer.worker_gone) == ("crashed", True)
    assert ILLEGAL in answer.reason


def test_a_case_that_ran_out_of_memory_leaves_the_pool_to_the_next(worker):
    def handle(simulated):
        simulated.allocate(2**30)
        simulated.release(2**30)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80 GiB")

    made, simulated = worker(handle)
    answer = made.answer(ASK)
    assert (answer.status, answer.worker_gone) == ("oom", False)
    assert simulated.bytes_of().reserved == 0


def test_a_processor_has_no_context_to_lose(worker):
    made, simulated = worker(raising(RuntimeError("CUDA error: quoted"), lost=True), device="cpu")
    assert made.answer(ASK).worker_gone is False
    assert simulated.launches == 0


@pytest.mark.parametrize(
    "text",
    [
        "cuDNN Frontend error: [cudnn_frontend] Error: No execution plans support the graph.",
        "cuDNN Frontend error: No valid execution plans built.",
        "cutlassF: no kernel found to launch!",
        "No valid triton configs. OutOfMemoryError: out of resource: triton_tem_fused_flex_attention_0 Required: 1",
        "CUDA error: no kernel image is available for execution on the device",
        "No available kernel. Aborting execution.",
    ],
)
def test_a_kernel_that_is_not_offered_is_unsupported_and_no_crash(text):
    assert failure(RuntimeError(text)).status == "unsupported"
