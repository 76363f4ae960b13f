"""JSON lines between parent and worker, on descriptors of their own, since libraries print to stdout."""

from __future__ import annotations

import json
import os
import select
import time
from typing import Any

# One message as the JSON object that crosses; messages.py gives each its model.
Message = dict[str, Any]


# Of a line that is no message, so many bytes are told.
TOLD_AT_MOST = 80


class ClosedError(EOFError):
    """The other side has gone."""


class GarbledError(ValueError):
    """A line is no message: something else writes to the descriptor."""


class Channel:
    """Send and receive JSON objects, one a line, over a pair of descriptors."""

    def __init__(self, *, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._buffer = bytearray()

    @property
    def descriptors(self) -> tuple[int, int]:
        """Return the descriptors, read end first."""
        return self._read, self._write

    def send(self, message: Message) -> None:
        """Write one message. Raises ClosedError."""
        data = (json.dumps(message, separators=(",", ":")) + "\n").encode()
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._write, view) :]
        except BrokenPipeError:
            raise ClosedError("the other side closed the channel") from None

    def receive(self, *, seconds: float | None = None) -> Message | None:
        """Return the next message, or None when none came in time.

        Raises ClosedError at the end of the stream, GarbledError for a line that is no message; the next can be read.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while b"\n" not in self._buffer:
            wait = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self._read], [], [], wait)
            if not ready:
                return None
            data = os.read(self._read, 1 << 16)
            if not data:
                raise ClosedError("the other side closed the channel")
            self._buffer += data
        line, _, rest = self._buffer.partition(b"\n")
        self._buffer = bytearray(rest)
        return _message(line)

    def close(self) -> None:
        """Close both descriptors."""
        for descriptor in (self._read, self._write):
            os.close(descriptor)


def _message(line: bytearray) -> Message:
    try:
        message = json.loads(line)
    # UnicodeDecodeError is a ValueError too.
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise GarbledError(f"the other side sent no message: {bytes(line[:TOLD_AT_MOST])!r}")
    return message
