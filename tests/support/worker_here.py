"""A worker in this process in the place of one of its own, for tests of what is asked and told.

Starting a process takes two seconds of a processor, most of them for importing torch. Here an implementation that ends
the process ends the tests, and what it prints or changes is theirs: such tests start processes.
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, TypeVar

import torch
from pydantic import BaseModel

from harness.instruments import memory
from harness.protocol.messages import decode_answer, encode
from harness.runner import supervisor
from harness.worker.__main__ import Worker
from impls import discovery
from impls.registry import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest

    from harness.protocol.messages import Asking, Failed, Refused, Start, Started

A = TypeVar("A", bound=BaseModel)


class WorkerHere:
    """What `harness.runner.process.WorkerProcess` is for its supervisor; requests and answers are written and read."""

    is_stuck = False
    resident_cap: int | None = None

    def __init__(self, start: Start, *, hear: Callable[[Mapping[str, float]], object], **_: object) -> None:
        self.begin(start, hear=hear)
        self.step = "start"
        self._threads = torch.get_num_threads()
        # What was registered stays known to this process; what this worker's files register does not.
        self._known = {name: copy.copy(value) for name, value in vars(discovery.discover()).items()}
        self._worker = Worker(announce=functools.partial(setattr, self, "step"))

    def begin(self, start: Start, *, hear: Callable[[Mapping[str, float]], object], **_: object) -> None:
        """Take what a worker starts with, and whom its stages are told."""
        self._start, self._hear = start, hear

    @functools.cached_property
    def ready(self) -> Started | Refused | Failed:
        """Return the answer to `start`."""
        return self._answer(self._start)

    def ask(self, request: Asking[A], *, seconds: float) -> A | Refused | Failed:  # noqa: ARG002  # nobody waits
        """Answer a request."""
        return self._answer(request)

    def close(self) -> None:
        """Leave the process as it was: it is ours, and stays."""
        torch.set_num_threads(self._threads)
        for name, known in self._known.items():
            value = getattr(REGISTRY, name)
            value.clear()
            value.update(known)

    def _answer(self, request: Asking[A]) -> A | Refused | Failed:
        answer = decode_answer(encode(self._worker.answer(encode(request))), request)
        self._hear(self._worker.spent())
        return answer  # type: ignore[return-value]  # neither a step nor what was spent


def take_the_place_of_processes(patch: pytest.MonkeyPatch) -> None:
    """Let supervisors have their workers here, without the cap on a worker's memory."""
    patch.setattr(supervisor, "WorkerProcess", WorkerHere)
    patch.setattr(memory, "cap_process", lambda _limit: True)
