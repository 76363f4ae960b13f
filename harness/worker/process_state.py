"""What implementations share: the settings of the process and of torch, watched and put back."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.worker.replaced import Functions, Operators

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Variables that libraries of numbers read, at their start or at any later call.
VARIABLES = (
    *("OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "ONEDNN_", "DNNL_", "ATEN_", "CUBLAS_", "CUDA_", "NVIDIA_", "LD_"),
    *("PYTORCH_", "TORCH_ALLOW_"),
)
_SMALLEST = sys.float_info.min


@dataclass(frozen=True)
class Setting:
    """One setting of the process: how to read it and how to put it back.

    `is_quiet` where implementations may change it by rights: it is put back, and nobody is named.
    """

    read: Callable[[], Any]
    write: Callable[[Any], object]
    is_quiet: bool = False


def _flushes() -> bool:
    return _SMALLEST / 2 == 0.0


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)}


def _set_variables(values: Mapping[str, str]) -> None:
    for name in _variables().keys() - values.keys():
        del os.environ[name]
    os.environ.update(values)


# Listed once: each comes as a member of an enumeration, of which there are sixty.
_SIGNALS = tuple(int(number) for number in signal.valid_signals())


def _handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in _SIGNALS}


def _set_handlers(handlers: Mapping[int, Any]) -> None:
    for number, handler in handlers.items():
        # A handler that is not Python's reads None, and can't be set from here.
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _set_default_device(device: torch.device) -> None:
    # None takes away the mode that would else stand before every call.
    torch.set_default_device(None if device.type == "cpu" else device)


def _set_deterministic(mode: int) -> None:
    torch.set_deterministic_debug_mode(mode)


def _precisions() -> tuple[Any, ...]:
    """Return what float32 may be rounded to: by the two older settings, None if they can't be read, and the newer.

    Once both kinds were used and differ, PyTorch raises wherever the older are read, also within its own code.
    """
    return (
        _or_none(torch.get_float32_matmul_precision),
        _or_none(torch._C._get_cudnn_allow_tf32),  # noqa: SLF001
        *(str(owner.fp32_precision) for owner in _PRECISION_OWNERS),
    )


def _set_precisions(values: tuple[Any, ...]) -> None:
    """Put back the older settings, which also write the newer ones, then those."""
    products, convolutions, *newer = values
    if products is not None:
        torch.set_float32_matmul_precision(products)
    if convolutions is not None:
        torch._C._set_cudnn_allow_tf32(convolutions)  # noqa: SLF001
    for owner, value in zip(_PRECISION_OWNERS, newer, strict=True):
        owner.fp32_precision = value


def _or_none(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except RuntimeError:
        return None


_BACKENDS: Any = torch.backends
# Those above pass their value on to those below them that have none.
_PRECISION_OWNERS = (
    *(_BACKENDS, _BACKENDS.cudnn, _BACKENDS.mkldnn),
    *(_BACKENDS.cuda.matmul, _BACKENDS.cudnn.conv, _BACKENDS.cudnn.rnn),
    *(_BACKENDS.mkldnn.matmul, _BACKENDS.mkldnn.conv, _BACKENDS.mkldnn.rnn),
)


# Attributes by which products of 16 bit may be summed in 16 bit, on CUDA.
_SUMS = ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction", "allow_fp16_accumulation")


def _sums() -> tuple[bool, ...]:
    return tuple(getattr(_BACKENDS.cuda.matmul, name) for name in _SUMS)


def _set_sums(values: tuple[bool, ...]) -> None:
    for name, value in zip(_SUMS, values, strict=True):
        setattr(_BACKENDS.cuda.matmul, name, value)


# What scaled_dot_product_attention may choose among, and whether its plain backend may sum in 16 bit.
_ATTENTION: tuple[tuple[Callable[[], bool], Callable[[bool], None]], ...] = (
    (_BACKENDS.cuda.flash_sdp_enabled, _BACKENDS.cuda.enable_flash_sdp),
    (_BACKENDS.cuda.mem_efficient_sdp_enabled, _BACKENDS.cuda.enable_mem_efficient_sdp),
    (_BACKENDS.cuda.math_sdp_enabled, _BACKENDS.cuda.enable_math_sdp),
    (_BACKENDS.cuda.cudnn_sdp_enabled, _BACKENDS.cuda.enable_cudnn_sdp),
    (
        _BACKENDS.cuda.fp16_bf16_reduction_math_sdp_allowed,
        _BACKENDS.cuda.allow_fp16_bf16_reduction_math_sdp,
    ),
)


def _attention() -> tuple[Any, ...]:
    order = tuple(torch._C._get_sdp_priority_order())  # noqa: SLF001
    return (order, torch.backends.mha.get_fastpath_enabled(), *(read() for read, _ in _ATTENTION))


def _set_attention(values: tuple[Any, ...]) -> None:
    """Put back the order in which backends are tried, the fast path of modules, and the switches."""
    order, has_fast_path, *switches = values
    torch._C._set_sdp_priority_order(list(order))  # noqa: SLF001
    torch.backends.mha.set_fastpath_enabled(has_fast_path)
    for (_, write), value in zip(_ATTENTION, switches, strict=True):
        write(value)


# How cuDNN chooses, and in which order einsum multiplies.
_CHOICES = (
    *((_BACKENDS.cudnn, name) for name in ("enabled", "benchmark")),
    *((_BACKENDS.opt_einsum, name) for name in ("enabled", "strategy")),
)


def _choices() -> tuple[Any, ...]:
    return tuple(getattr(owner, name) for owner, name in _CHOICES)


def _set_choices(values: tuple[Any, ...]) -> None:
    for (owner, name), value in zip(_CHOICES, values, strict=True):
        # Where no library that orders products is installed, its settings can't be written at all.
        if getattr(owner, name) != value:
            setattr(owner, name, value)


def _saved_hooks() -> tuple[Any, ...] | None:
    return torch._C._autograd._top_saved_tensors_default_hooks(False)  # noqa: SLF001


def _leave_saved_hooks(hooks: tuple[Any, ...] | None) -> None:
    """Take away what stands before each tensor that is saved for a gradient, up to given hooks."""
    while (now := _saved_hooks()) is not None and now != hooks:
        torch._C._autograd._pop_saved_tensors_default_hooks()  # noqa: SLF001


def _descriptors() -> dict[int, tuple[int, int]]:
    return {number: (os.fstat(number).st_dev, os.fstat(number).st_ino) for number in (1, 2)}


class Descriptors:
    """Standard output and error, duplicates of which are kept to put them back."""

    def __init__(self) -> None:
        self._kept = {number: os.dup(number) for number in (1, 2)}

    def put_back(self, _: object) -> None:
        """Point the descriptors to where they pointed."""
        for number, kept in self._kept.items():
            os.dup2(kept, number)


def _autocast() -> tuple[Any, ...]:
    return tuple((torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in _AUTOCAST_KINDS)


def _set_autocast(values: tuple[Any, ...]) -> None:
    for kind, (is_on, dtype) in zip(_AUTOCAST_KINDS, values, strict=True):
        torch.set_autocast_enabled(kind, is_on)
        torch.set_autocast_dtype(kind, dtype)


_AUTOCAST_KINDS = ("cpu", "cuda")


def _modes() -> int:
    return int(torch._C._len_torch_function_stack()) + int(torch._C._len_torch_dispatch_stack())  # noqa: SLF001


def _leave_modes(count: int) -> None:
    """Take away the modes that stand before every function or operator of torch, but for so many."""
    while _modes() > count:
        if torch._C._len_torch_dispatch_stack():  # noqa: SLF001
            torch._C._pop_torch_dispatch_stack()  # noqa: SLF001
        else:
            torch._C._pop_torch_function_stack()  # noqa: SLF001


def _anomaly() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def _set_anomaly(values: tuple[bool, bool]) -> None:
    torch.autograd.set_detect_anomaly(*values)


def _collector() -> tuple[Any, ...]:
    return gc.isenabled(), gc.get_threshold(), tuple(gc.callbacks)


def _set_collector(values: tuple[Any, ...]) -> None:
    is_on, thresholds, callbacks = values
    (gc.enable if is_on else gc.disable)()
    gc.set_threshold(*thresholds)
    gc.callbacks[:] = callbacks


def _tracers() -> tuple[Any, Any]:
    return sys.gettrace(), sys.getprofile()


def _set_tracers(values: tuple[Any, Any]) -> None:
    trace, profile = values
    sys.settrace(trace)
    sys.setprofile(profile)


def _set_affinity(cores: set[int]) -> None:
    os.sched_setaffinity(0, cores)


def _niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def _set_niceness(value: int) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, value)


def _of_the_system() -> dict[str, Setting]:
    """Return what the scheduler of this system knows of the process."""
    found = {"niceness": Setting(_niceness, _set_niceness)} if hasattr(os, "getpriority") else {}
    if hasattr(os, "sched_setaffinity"):
        found["processor affinity"] = Setting(lambda: os.sched_getaffinity(0), _set_affinity)
    return found


def _device_states() -> list[bytes]:
    """Return the state of each CUDA device's random numbers, none where no context was made."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return []
    return [bytes(state.numpy()) for state in torch.cuda.get_rng_state_all()]


def _set_device_states(states: list[bytes]) -> None:
    if states:
        torch.cuda.set_rng_state_all([torch.frombuffer(bytearray(state), dtype=torch.uint8) for state in states])


def settings() -> dict[str, Setting]:
    """Return the settings that are watched, by the words that name them."""
    return {
        "threads": Setting(torch.get_num_threads, torch.set_num_threads),
        "denormal mode": Setting(_flushes, torch.set_flush_denormal),
        "default dtype": Setting(torch.get_default_dtype, torch.set_default_dtype),
        "default device": Setting(torch.get_default_device, _set_default_device),
        "float32 precision": Setting(_precisions, _set_precisions),
        "sums of 16-bit products": Setting(_sums, _set_sums),
        "attention backends": Setting(_attention, _set_attention),
        "choices of cuDNN or einsum": Setting(_choices, _set_choices),
        "hooks of saved tensors": Setting(_saved_hooks, _leave_saved_hooks),
        "grad mode": Setting(torch.is_grad_enabled, torch.set_grad_enabled),
        "deterministic mode": Setting(torch.get_deterministic_debug_mode, _set_deterministic),
        "oneDNN switch": Setting(torch._C._get_mkldnn_enabled, torch._C._set_mkldnn_enabled),  # noqa: SLF001
        "environment variables": Setting(_variables, _set_variables),
        "signal handlers": Setting(_handlers, _set_handlers),
        "working directory": Setting(os.getcwd, os.chdir),
        "standard output or error": Setting(_descriptors, Descriptors().put_back),
        "autocast": Setting(_autocast, _set_autocast),
        "modes of torch": Setting(_modes, _leave_modes),
        "anomaly detection": Setting(_anomaly, _set_anomaly),
        "garbage collector": Setting(_collector, _set_collector),
        "tracing": Setting(_tracers, _set_tracers),
        "switch interval": Setting(sys.getswitchinterval, sys.setswitchinterval),
        **_of_the_system(),
        # Dropout, and modules that start with random weights, draw from it by rights.
        "random state": Setting(lambda: bytes(torch.get_rng_state().numpy()), _set_random_state, is_quiet=True),
        "a GPU's random state": Setting(_device_states, _set_device_states, is_quiet=True),
        "Python's random state": Setting(random.getstate, random.setstate, is_quiet=True),
        "numpy's random state": Setting(_numpy_state, _set_numpy_state, is_quiet=True),
    }


def _numpy_state() -> tuple[Any, ...]:
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002  # the state that libraries share is this one
    return (kind, np.asarray(keys).tobytes(), *rest)


def _set_numpy_state(state: tuple[Any, ...]) -> None:
    kind, keys, *rest = state
    np.random.set_state((kind, np.frombuffer(keys, dtype=np.uint32), *rest))  # noqa: NPY002


def _set_random_state(state: bytes) -> None:
    torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))


@dataclass
class ProcessState:
    """The settings as they were; `changed_by` names what a source changed when it was imported.

    `is_spoiled` once a change can't be put back: nothing that follows in the process is as before.
    """

    settings: dict[str, Setting] = field(default_factory=settings)
    changed_by: dict[str, list[str]] = field(default_factory=dict)
    is_spoiled: bool = False
    functions: Functions = field(default_factory=Functions)
    operators: Operators = field(default_factory=Operators)
    _values: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._values = {name: setting.read() for name, setting in self.settings.items()}

    def mend(self) -> list[str]:
        """Put back what was changed since, and say what: settings by value, functions and operators by name."""
        changed = [f"replaced {name}" for name in (*self.functions.put_back(), *self.operators.put_back())]
        for name, setting in self.settings.items():
            before, now = self._values[name], self._read(setting)
            if now == before:
                continue
            stays = self._put_back(name, setting)
            if not setting.is_quiet:
                changed.append(f"changed {name}{_change(before, now)}{stays}")
        return changed

    def imported(self, source: str) -> None:
        """Put back what the import of a source, or of what it needs, changed, and keep what it was."""
        changed = self.mend()
        if changed:
            self.changed_by[source] = [*self.changed_by.get(source, []), *changed]

    def _put_back(self, name: str, setting: Setting) -> str:
        """Write a setting as it was; where the system forbids it, say so, and mark the process as spoiled."""
        try:
            setting.write(self._values[name])
        except OSError as error:
            self.is_spoiled = True
            return f", which can't be put back ({error.strerror})"
        return ""

    def _read(self, setting: Setting) -> Any:
        try:
            return setting.read()
        # A directory that is gone, a descriptor that was closed: changed, whatever it is now.
        except (OSError, RuntimeError) as error:
            return error


def _change(before: Any, now: Any) -> str:
    """Word a change of a plain value; others are long."""
    plain = (bool, int, float, str, torch.dtype, torch.device)
    return f" from {before} to {now}" if isinstance(before, plain) and isinstance(now, plain) else ""
