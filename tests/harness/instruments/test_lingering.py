"""What goes on after a call is seen, and a call that ends with its return leaves nothing."""

from __future__ import annotations

import threading
import time

from harness.instruments.lingering import WAIT_SECONDS, lingering_seconds


def test_a_thread_that_works_on_after_the_call_is_seen():
    threads = []

    def burn():
        end = time.thread_time() + WAIT_SECONDS
        while time.thread_time() < end:
            pass

    def call():
        threads.append(threading.Thread(target=burn))
        threads[0].start()

    used = lingering_seconds(call)
    threads[0].join()
    assert used > 0.01


def test_what_a_call_itself_takes_is_no_part_of_it():
    def call():
        end = time.process_time() + WAIT_SECONDS
        while time.process_time() < end:
            pass

    assert lingering_seconds(call) < 0.01
