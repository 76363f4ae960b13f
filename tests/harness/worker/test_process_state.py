"""What an implementation changes for everybody in its process is named and put back."""

from __future__ import annotations

import errno
import gc
import os
import random
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.instruments import cuda
from harness.policy import DEFAULT
from harness.protocol import messages
from harness.worker import workbench
from harness.worker.process_state import ProcessState, Setting, settings
from tests.support.simulated_cuda import Simulated


def entered(context):
    context.__enter__()
    return context


CHANGES = {
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "denormal mode": lambda: torch.set_flush_denormal(True),
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "float32 precision": lambda: torch.set_float32_matmul_precision("medium"),
    "sums of 16-bit products": lambda: setattr(torch.backends.cuda.matmul, "allow_fp16_accumulation", True),
    "attention backends": lambda: torch.backends.cuda.enable_flash_sdp(False),
    "choices of cuDNN or einsum": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "hooks of saved tensors": lambda: entered(torch.autograd.graph.saved_tensors_hooks(abs, abs)),
    "grad mode": lambda: torch.set_grad_enabled(False),
    "deterministic mode": lambda: torch.use_deterministic_algorithms(True),
    "oneDNN switch": lambda: torch._C._set_mkldnn_enabled(False),
    "environment variables": lambda: os.environ.update({"OMP_NUM_THREADS": "77"}),
    "signal handlers": lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
    "working directory": lambda: os.chdir("/"),
    "autocast": lambda: torch.set_autocast_enabled("cpu", True),
    "modes of torch": lambda: torch.overrides.BaseTorchFunctionMode().__enter__(),
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "garbage collector": lambda: gc.set_threshold(7, 7, 7),
    "tracing": lambda: sys.setprofile(lambda *_: None),
    "switch interval": lambda: sys.setswitchinterval(0.1),
    "niceness": lambda: os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + 1),
    "processor affinity": lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    "standard output or error": lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2),
}


@pytest.fixture
def state():
    found = ProcessState()
    yield found
    found.mend()


def test_every_setting_has_a_change_that_is_tried():
    assert {name for name, setting in settings().items() if not setting.is_quiet} == set(CHANGES)


def test_a_process_left_alone_has_nothing_to_mend(state):
    assert state.mend() == []


def _may_lower_niceness():
    """Tell whether this user may be less nice again."""
    now = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, now - 1)
        os.setpriority(os.PRIO_PROCESS, 0, now)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("name", list(CHANGES))
def test_a_change_is_named_and_put_back(state, name):
    if name == "niceness" and not _may_lower_niceness():
        pytest.skip("nobody but root may be less nice again")
    if name == "processor affinity" and len(os.sched_getaffinity(0)) == 1:
        pytest.skip("a single core")
    before = settings()[name].read()
    CHANGES[name]()
    assert settings()[name].read() != before
    (said,) = state.mend()
    assert said.startswith(f"changed {name}")
    assert settings()[name].read() == before
    assert state.mend() == []


BACKENDS = torch.backends
PRECISIONS = {
    "products": lambda: setattr(BACKENDS.cuda.matmul, "fp32_precision", "tf32"),
    "products, the older way": lambda: setattr(BACKENDS.cuda.matmul, "allow_tf32", True),
    "convolutions, the older way": lambda: setattr(BACKENDS.cudnn, "allow_tf32", False),
    "everything": lambda: setattr(BACKENDS, "fp32_precision", "tf32"),
    "CUDA": lambda: setattr(BACKENDS.cudnn, "fp32_precision", "tf32"),
    "recurrences": lambda: setattr(BACKENDS.cudnn.rnn, "fp32_precision", "ieee"),
    "oneDNN": lambda: setattr(BACKENDS.mkldnn, "fp32_precision", "bf16"),
    "oneDNN's products": lambda: setattr(BACKENDS.mkldnn.matmul, "fp32_precision", "bf16"),
}


@pytest.mark.parametrize("name", list(PRECISIONS))
def test_a_precision_is_put_back_whichever_way_it_was_set(state, name):
    owners = {
        "all": BACKENDS,
        "cuda": BACKENDS.cudnn,
        "products": BACKENDS.cuda.matmul,
        "convolutions": BACKENDS.cudnn.conv,
        "recurrences": BACKENDS.cudnn.rnn,
        "onednn": BACKENDS.mkldnn,
        "onednn's products": BACKENDS.mkldnn.matmul,
    }
    before = {owner: known.fp32_precision for owner, known in owners.items()}
    PRECISIONS[name]()
    assert state.mend() == ["changed float32 precision"]
    # PyTorch raises here where the older setting and the newer say different things, for every later case.
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cuda.matmul.allow_tf32 is False
    assert torch.backends.cudnn.allow_tf32 is True
    assert {owner: known.fp32_precision for owner, known in owners.items()} == before


def test_plain_values_are_named_before_and_after(state):
    torch.set_default_dtype(torch.float64)
    assert state.mend() == ["changed default dtype from torch.float32 to torch.float64"]


def test_numbers_drawn_are_put_back_and_blamed_on_nobody(state):
    before = torch.get_rng_state()
    torch.manual_seed(5)
    assert state.mend() == []
    assert torch.equal(torch.get_rng_state(), before)


def test_numbers_drawn_by_python_and_numpy_are_put_back_too(state):
    def drawn():
        return random.random(), np.random.rand()  # noqa: NPY002  # what libraries share is the old generator

    kept = random.getstate(), np.random.get_state()  # noqa: NPY002
    expected = drawn()
    random.setstate(kept[0])
    np.random.set_state(kept[1])  # noqa: NPY002
    drawn()
    assert state.mend() == []
    assert drawn() == expected


def test_the_order_of_backends_and_the_fast_path_of_modules_are_put_back(state):
    before = torch._C._get_sdp_priority_order()
    torch._C._set_sdp_priority_order(before[::-1])
    torch.backends.mha.set_fastpath_enabled(False)
    assert state.mend() == ["changed attention backends"]
    assert torch._C._get_sdp_priority_order() == before
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_replaced_function_is_named_among_changes(state, monkeypatch):
    monkeypatch.setattr(torch, "equal", lambda *_: True)
    assert state.mend() == ["replaced torch.equal"]


def test_what_an_import_changed_is_kept_under_its_source(state):
    state.imported("quiet.py")
    os.chdir("/")
    state.imported("mine.py")
    assert state.changed_by == {"mine.py": ["changed working directory from " + str(Path.cwd()) + " to /"]}


def test_what_can_not_be_put_back_is_said_and_spoils_the_process():
    def forbidden(_):
        raise PermissionError(errno.EACCES, "Permission denied")

    values = iter([0, 5])
    state = ProcessState(settings={"niceness": Setting(lambda: next(values), forbidden)})
    assert not state.is_spoiled
    assert state.mend() == ["changed niceness from 0 to 5, which can't be put back (Permission denied)"]
    assert state.is_spoiled


def test_a_collector_that_is_told_of_calls_is_as_before(state):
    callback = lambda *_: None  # noqa: E731
    gc.callbacks.append(callback)
    assert state.mend() == ["changed garbage collector"]
    assert callback not in gc.callbacks


def test_numbers_drawn_on_a_gpu_are_put_back_and_blamed_on_nobody(monkeypatch):
    """A device whose generators are a list of bytes."""
    generators = [bytes([1, 2]), bytes([3, 4])]

    def set_all(states):
        generators[:] = [bytes(state.numpy()) for state in states]

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(
        torch.cuda,
        "get_rng_state_all",
        lambda: [torch.frombuffer(bytearray(one), dtype=torch.uint8) for one in generators],
    )
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", set_all)
    state = ProcessState()
    generators[1] = bytes([9, 9])
    assert state.mend() == []
    assert generators == [bytes([1, 2]), bytes([3, 4])]


def test_pytorch_s_own_order_of_backends_settled_at_the_first_call_is_no_change(monkeypatch):
    class Cuda(Simulated):
        def settle_backends(self, _device=None):
            torch._C._set_sdp_priority_order([3, 1, 2, 0, 4])

    before = torch._C._get_sdp_priority_order()
    monkeypatch.setattr(cuda, "DRIVER", Cuda())
    for name in ("set_device", "set_per_process_memory_fraction"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    try:
        bench = workbench.set_up(messages.Start(device="cuda:0", policy=DEFAULT), announce=lambda _: None)
        torch._C._set_sdp_priority_order([3, 1, 2, 0, 4])
        assert bench.process.mend() == []
        assert torch._C._get_sdp_priority_order() == [3, 1, 2, 0, 4]
    finally:
        torch._C._set_sdp_priority_order(before)
