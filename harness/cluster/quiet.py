"""The settings under which dask.distributed leaves the measured machine alone, and the line for who lacks it."""

from __future__ import annotations

import importlib.util
import logging

MISSING = "several workers need dask.distributed, which is not installed: pip install 'attnbench[cluster]'"
# Each left at its default wakes a process up to 100 times a second. No key turns the monitor off, only its interval.
SETTINGS: dict[str, object] = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "10s",
    "distributed.admin.tick.cycle": "10s",
    "distributed.admin.tick.limit": "1h",
    "distributed.admin.system-monitor.interval": "1h",
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.diagnostics.nvml": False,
    "distributed.worker.http.routes": [],
    "distributed.scheduler.http.routes": [],
    "distributed.scheduler.active-memory-manager.start": False,
}
# They print a traceback for each worker lost and each connection closed, of which we tell in a line.
TALKATIVE = ("distributed", "tornado", "asyncio")


class MissingEngineError(ValueError):
    """The extra `cluster` is not installed."""


def require_engine() -> None:
    """Raise MissingEngineError where the engine can't be imported."""
    if any(importlib.util.find_spec(name) is None for name in ("distributed", "cryptography")):
        raise MissingEngineError(MISSING)


def settle() -> None:
    """Configure the engine, before it is imported: settings of the environment don't override these."""
    require_engine()
    import dask

    dask.config.set(SETTINGS)
    # Its import gives its loggers levels of their own.
    import distributed

    for name in (
        *TALKATIVE,
        *(name for name in logging.root.manager.loggerDict if name.startswith(distributed.__name__)),
    ):
        logging.getLogger(name).setLevel(logging.CRITICAL)
