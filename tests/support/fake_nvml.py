"""A stand-in for libnvidia-ml.so.1: C functions made by ctypes, so that pynvml's own code runs against them."""

from __future__ import annotations

import ctypes
import time
from collections import Counter
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_uint, c_ulonglong, c_void_p
from dataclasses import dataclass, field

import pynvml

# The first simulated device has it: tests/support/simulated_cuda.py.
UUID = "00000000-aaaa-bbbb-cccc-1234567890ab"
# Any address does as a handle; the library never looks behind it.
HANDLE = 0x1000
ERRORS = {pynvml.NVML_ERROR_GPU_IS_LOST: b"GPU is lost"}


@dataclass
class Device:
    """How one GPU behaves. `refuses` maps C functions to the NVML error they return; `lacks` are not in the driver."""

    name: bytes = b"NVIDIA H200"
    power_mw: int = 500_000
    temperature: int = 60
    sm_clock: int = 1755
    memory_clock: int = 3201
    gpu_busy: int = 97
    memory_busy: int = 40
    reasons: int = 0x1
    ecc: int = 1
    mig: int = 0
    uuid_prefix: bytes = b"GPU-"
    pids: list[int] = field(default_factory=list)
    # Bytes that the driver counts, by process id; a process without an entry is listed without a count.
    process_bytes: dict[int, int] = field(default_factory=dict)
    # Nanoseconds that each policy held the clocks back, by NVML's number of it.
    violations: dict[int, int] = field(default_factory=dict)
    refuses: dict[str, int] = field(default_factory=dict)
    lacks: set[str] = field(default_factory=set)
    lost_after_readings: int | None = None
    # How often the energy counter moves; 100 ms is what the driver does.
    energy_period: float = 0.1
    readings: int = 0
    opened: int = 0
    # How often each function was called.
    calls: Counter[str] = field(default_factory=Counter)


class Library:
    """The functions of NVML for one device; attribute access is what `getattr(nvmlLib, name)` sees."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._begun = time.perf_counter()
        number = POINTER(c_uint)
        self._functions = {
            "nvmlInitWithFlags": (CFUNCTYPE(c_int, c_uint), self._init),
            "nvmlShutdown": (CFUNCTYPE(c_int), self._shutdown),
            "nvmlErrorString": (CFUNCTYPE(c_char_p, c_int), lambda code: ERRORS.get(code, b"Unknown Error")),
            "nvmlDeviceGetHandleByUUID": (CFUNCTYPE(c_int, c_char_p, POINTER(pynvml.c_nvmlDevice_t)), self._by_uuid),
            "nvmlDeviceGetMigMode": (CFUNCTYPE(c_int, c_void_p, number, number), self._mig),
            "nvmlDeviceGetName": (CFUNCTYPE(c_int, c_void_p, c_void_p, c_uint), self._name),
            "nvmlSystemGetDriverVersion": (CFUNCTYPE(c_int, c_void_p, c_uint), self._driver),
            "nvmlSystemGetCudaDriverVersion": (CFUNCTYPE(c_int, POINTER(c_int)), self._cuda),
            "nvmlDeviceGetEccMode": (CFUNCTYPE(c_int, c_void_p, number, number), self._ecc),
            "nvmlDeviceGetEnforcedPowerLimit": (CFUNCTYPE(c_int, c_void_p, number), self._number(lambda: 700_000)),
            "nvmlDeviceGetMaxClockInfo": (CFUNCTYPE(c_int, c_void_p, c_uint, number), self._clock(lambda: 1980)),
            "nvmlDeviceGetClockInfo": (CFUNCTYPE(c_int, c_void_p, c_uint, number), self._clock(self._current_clock)),
            "nvmlDeviceGetTemperature": (
                CFUNCTYPE(c_int, c_void_p, c_uint, number),
                self._clock(lambda: self.device.temperature),
            ),
            "nvmlDeviceGetPowerUsage": (
                CFUNCTYPE(c_int, c_void_p, number),
                self._number(lambda: self.device.power_mw),
            ),
            "nvmlDeviceGetPersistenceMode": (CFUNCTYPE(c_int, c_void_p, number), self._number(lambda: 1)),
            "nvmlDeviceGetTotalEnergyConsumption": (
                CFUNCTYPE(c_int, c_void_p, POINTER(c_ulonglong)),
                self._number(self._millijoules),
            ),
            "nvmlDeviceGetCurrentClocksEventReasons": (
                CFUNCTYPE(c_int, c_void_p, POINTER(c_ulonglong)),
                self._number(lambda: self.device.reasons),
            ),
            "nvmlDeviceGetCurrentClocksThrottleReasons": (
                CFUNCTYPE(c_int, c_void_p, POINTER(c_ulonglong)),
                self._number(lambda: self.device.reasons),
            ),
            "nvmlDeviceGetViolationStatus": (
                CFUNCTYPE(c_int, c_void_p, c_uint, POINTER(pynvml.c_nvmlViolationTime_t)),
                self._violation,
            ),
            "nvmlDeviceGetUUID": (CFUNCTYPE(c_int, c_void_p, c_void_p, c_uint), self._uuid),
            "nvmlDeviceGetPciInfo_v3": (CFUNCTYPE(c_int, c_void_p, POINTER(pynvml.nvmlPciInfo_t)), self._pci),
            "nvmlDeviceGetUtilizationRates": (
                CFUNCTYPE(c_int, c_void_p, POINTER(pynvml.c_nvmlUtilization_t)),
                self._utilization,
            ),
            "nvmlDeviceGetComputeRunningProcesses_v3": (
                CFUNCTYPE(c_int, c_void_p, number, POINTER(pynvml.c_nvmlProcessInfo_v3_t)),
                self._processes,
            ),
        }
        self._made = {}

    def __getattr__(self, name):
        functions = self.__dict__["_functions"]
        if name not in functions or name in self.device.lacks:
            raise AttributeError(name)
        if name not in self._made:
            prototype, function = functions[name]
            self._made[name] = prototype(self._guarded(name, function))
        return self._made[name]

    def _guarded(self, name, function):
        def call(*arguments):
            self.device.calls[name] += 1
            if name in self.device.refuses:
                return self.device.refuses[name]
            if name.startswith("nvmlDeviceGet") and name != "nvmlDeviceGetHandleByUUID":
                self.device.readings += 1
                lost = self.device.lost_after_readings
                if lost is not None and self.device.readings > lost:
                    return pynvml.NVML_ERROR_GPU_IS_LOST
            return function(*arguments)

        return call if name != "nvmlErrorString" else function

    def _init(self, _flags):
        self.device.opened += 1
        return pynvml.NVML_SUCCESS

    def _shutdown(self):
        self.device.opened -= 1
        return pynvml.NVML_SUCCESS

    def _by_uuid(self, uuid, handle):
        if uuid != self.device.uuid_prefix + UUID.encode():
            return pynvml.NVML_ERROR_NOT_FOUND
        handle[0] = ctypes.cast(HANDLE, pynvml.c_nvmlDevice_t)
        return pynvml.NVML_SUCCESS

    def _mig(self, _handle, current, pending):
        current[0] = pending[0] = self.device.mig
        return pynvml.NVML_SUCCESS

    def _name(self, _handle, buffer, size):
        ctypes.memmove(buffer, self.device.name + b"\0", min(size, len(self.device.name) + 1))
        return pynvml.NVML_SUCCESS

    def _uuid(self, _handle, buffer, _size):
        whole = self.device.uuid_prefix + UUID.encode() + b"\0"
        ctypes.memmove(buffer, whole, len(whole))
        return pynvml.NVML_SUCCESS

    def _pci(self, _handle, out):
        out[0].busId = b"00000000:18:00.0"
        return pynvml.NVML_SUCCESS

    def _violation(self, _handle, policy, out):
        if policy not in self.device.violations:
            return pynvml.NVML_ERROR_NOT_SUPPORTED
        out[0].referenceTime, out[0].violationTime = 1, self.device.violations[policy]
        return pynvml.NVML_SUCCESS

    def _driver(self, buffer, _size):
        ctypes.memmove(buffer, b"580.10\0", 7)
        return pynvml.NVML_SUCCESS

    def _cuda(self, version):
        version[0] = 13_000
        return pynvml.NVML_SUCCESS

    def _ecc(self, _handle, current, pending):
        current[0] = pending[0] = self.device.ecc
        return pynvml.NVML_SUCCESS

    def _number(self, value):
        def call(_handle, out):
            out[0] = value()
            return pynvml.NVML_SUCCESS

        return call

    def _clock(self, value):
        def call(_handle, kind, out):
            out[0] = value() if value.__code__.co_argcount == 0 else value(kind)
            return pynvml.NVML_SUCCESS

        return call

    def _current_clock(self, kind):
        return self.device.sm_clock if kind == pynvml.NVML_CLOCK_SM else self.device.memory_clock

    def _millijoules(self):
        period = self.device.energy_period
        steps = int((time.perf_counter() - self._begun) / period)
        return int(steps * period * self.device.power_mw)

    def _utilization(self, _handle, out):
        out[0].gpu, out[0].memory = self.device.gpu_busy, self.device.memory_busy
        return pynvml.NVML_SUCCESS

    def _processes(self, _handle, count, out):
        room, count[0] = count[0], len(self.device.pids)
        if not self.device.pids:
            return pynvml.NVML_SUCCESS
        if room < len(self.device.pids) or not out:
            return pynvml.NVML_ERROR_INSUFFICIENT_SIZE
        for place, pid in enumerate(self.device.pids):
            out[place].pid = pid
            out[place].usedGpuMemory = self.device.process_bytes.get(
                pid, pynvml.NVML_VALUE_NOT_AVAILABLE_ulonglong.value
            )
        return pynvml.NVML_SUCCESS


def install(monkeypatch, device: Device) -> Library:
    """Put a library with this device where pynvml keeps the loaded one."""
    library = Library(device)
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setattr(pynvml, "_nvmlLib_refcount", 0)
    return library
