"""Stands in for the process that measures a chunk: every case is closed without torch, in the seconds ordered."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from harness.cluster.chunk import child, guard
from harness.cluster.chunk.stages import StageLines
from harness.cluster.orders import Answer, Order
from harness.records import Record
from harness.results import journal
from harness.results.summary_file import Summary

# What it answers to an order without a plan.
PLANNED = "{}"


def close_cases(order, folder):
    run = folder / child.RUN
    run.mkdir()
    journal.write_document(run / journal.PLAN, order.plan.model_dump(mode="json", by_alias=True))
    with journal.Journal(run) as log:
        for planned in order.plan.cases:
            time.sleep(order.seconds / len(order.plan.cases))
            log.append_record(Record(case=planned.case, status="unsupported", reason=f"attempt {order.attempt}"))
    summary = Summary(
        started=journal.now(), ended=journal.now(), wall_seconds=0, call_seconds=0, call_share=0,
        statuses={"unsupported": len(order.plan.cases)}, rounds=0, complete=True,
    )  # fmt: skip
    journal.write_document(run / journal.SUMMARY, summary.model_dump(mode="json", by_alias=True))


def main():
    told = threading.Event()
    guard.end_with_parent(guard.kill_all, on_word=told.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    folder = Path(sys.argv[1])
    order = None
    while order is None or order.plan is None:
        told.wait()
        told.clear()
        order = Order.model_validate_json((folder / child.ORDER).read_bytes())
        carry_out(order, folder)
        child.tell(Answer(kind="part"))
    os._exit(0)


def carry_out(order, folder):
    StageLines(sys.stdout).phase_begun("agreement", cost=1.0, cases=1)
    if order.plan is None:
        (folder / child.PLAN).write_text(PLANNED)
    else:
        close_cases(order, folder)


if __name__ == "__main__":
    main()
