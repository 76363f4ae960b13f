"""Messages cross the pipe whole, in order, in time or not at all; what is none, and a side that is gone, are told."""

from __future__ import annotations

import os
import threading
import time

import pytest

from harness.protocol.channel import Channel, ClosedError, GarbledError


@pytest.fixture
def pair():
    """Return two channels, each at one end of the same two pipes, and close what a test left open."""
    there, back = os.pipe(), os.pipe()
    ends = [Channel(read=back[0], write=there[1]), Channel(read=there[0], write=back[1])]
    yield ends
    for descriptor in (*there, *back):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_messages_arrive_in_order_and_both_ways(pair):
    parent, worker = pair
    sent = [{"do": "start", "text": "é\n\u2028"}, {"do": "describe"}, {"numbers": [1, 0.1, 5e-324, None, True]}]
    for message in sent:
        parent.send(message)
    assert [worker.receive(seconds=1.0) for _ in sent] == sent
    worker.send({"kind": "started"})
    assert parent.receive() == {"kind": "started"}


def test_a_message_larger_than_the_pipe_crosses_whole(pair):
    parent, worker = pair
    message = {"samples": ["x" * 1000] * 1000}
    writer = threading.Thread(target=parent.send, args=(message,))
    writer.start()
    assert worker.receive(seconds=10.0) == message
    writer.join()


def test_nothing_in_time_is_none_and_a_part_that_came_is_kept(pair):
    parent, worker = pair
    assert worker.receive(seconds=0.0) is None
    os.write(parent.descriptors[1], b'{"do": ')
    begun = time.monotonic()
    assert worker.receive(seconds=0.05) is None
    assert time.monotonic() - begun >= 0.04
    os.write(parent.descriptors[1], b'"visit"}\n{"do"')
    assert worker.receive(seconds=1.0) == {"do": "visit"}
    os.write(parent.descriptors[1], b': "stop"}\n')
    assert worker.receive(seconds=1.0) == {"do": "stop"}


def test_a_side_that_has_gone_is_told_to_who_reads_and_to_who_writes(pair):
    parent, worker = pair
    parent.send({"last": 1})
    parent.close()
    assert worker.receive() == {"last": 1}, "what was sent before is still read"
    with pytest.raises(ClosedError, match="the other side closed the channel"):
        worker.receive()
    with pytest.raises(ClosedError, match="the other side closed the channel"):
        worker.send({"kind": "step"})


def test_a_side_that_dies_within_a_line_has_sent_no_message(pair):
    parent, worker = pair
    os.write(parent.descriptors[1], b'{"kind": "visited"')
    parent.close()
    with pytest.raises(ClosedError):
        worker.receive()


@pytest.mark.parametrize(
    "line", [b"a library's greeting", b"[1, 2]", b"7", b"", b"\xff\xfe{}", b'{"kind": "step"', b"[" * 100_000]
)
def test_a_line_that_is_no_message_is_told_and_the_next_is_read(pair, line):
    parent, worker = pair
    writer = threading.Thread(target=os.write, args=(parent.descriptors[1], line + b'\n{"kind": "step"}\n'))
    writer.start()
    with pytest.raises(GarbledError, match="the other side sent no message: ") as told:
        worker.receive(seconds=5.0)
    assert len(str(told.value)) < 200
    assert worker.receive(seconds=5.0) == {"kind": "step"}
    writer.join()


def test_a_closed_channel_holds_no_descriptor(pair):
    parent, _ = pair
    read, write = parent.descriptors
    parent.close()
    for descriptor in (read, write):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
