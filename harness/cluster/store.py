"""A sweep on disk: its orders, and the part that came of each; what is there need not be measured again."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

from pydantic import Field

from harness.cluster.chunk.packing import unpack
from harness.cluster.orders import Limits, Order
from harness.cluster.roster import differences
from harness.fleet.merge import merge, warnings
from harness.records import SCHEMA, DataModel, Environment, Record
from harness.results import journal
from harness.results.documents import JournalError, read_model
from harness.results.summary_file import Summary
from harness.runner.execute import NO_LIMITS, create_directory
from harness.runner.plan import code_fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from harness.cluster.orders import Announcement
    from harness.records import Status
    from harness.runner.selection import TimeLimits

FLEET, LEDGER, ORDERS, PARTS = "fleet.json", "fleet.jsonl", "orders", "parts"
# Why nothing was measured of an order that no attempt was lost at.
HELD = "other runs held every device until the time budget was over"


class Fleet(DataModel):
    """The contents of fleet.json: the names of the orders that a sweep consists of; each has a file of its own.

    `one_per_host` if no two of them may be measured on a host at once. `limits` are those of the whole; None in a
    sweep that did not keep them.
    """

    schema_version: str = Field(default=SCHEMA, alias="schema")
    created: str
    command: list[str]
    orders: list[str]
    one_per_host: bool = False
    limits: Limits | None = None

    model_config = Record.model_config


class TornPartError(ValueError):
    """What a worker sent is not the whole of what was ordered."""


def refuse_sweep(directory: Path) -> None:
    """Raise JournalError where a sweep over several devices was begun, which one alone can't go on with."""
    if (directory / FLEET).exists():
        raise JournalError(f"{directory} holds a sweep over several devices: --resume it with --workers or --cluster")


class Store:
    """Keep the orders and parts of a sweep in a directory. A part is there whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def make(self) -> None:
        """Make the directory of a new sweep. Raises JournalError if it can't be made or holds something already."""
        create_directory(self.directory)
        if (self.directory / FLEET).exists():
            raise JournalError(f"{self.directory} holds a sweep already: choose another -o, or continue with --resume")

    def reopen(self) -> None:
        """Make sure that what is missing of a sweep can be measured by this code. Raises JournalError."""
        if self.fleet() is None:
            raise JournalError(f"{self.directory} holds no sweep over several devices to resume")
        ours = code_fingerprint()
        for order in self.missing():
            if differs := differences(ours, order.fingerprint):
                raise JournalError(f"{self.directory} can't be resumed by other code: {differs}")

    def begin(
        self, orders: list[Order], *, command: list[str], one_per_host: bool, limits: TimeLimits = NO_LIMITS
    ) -> None:
        """Write what is ordered; the sweep is there once this returns."""
        (self.directory / ORDERS).mkdir(parents=True, exist_ok=True)
        (self.directory / PARTS).mkdir(exist_ok=True)
        for order in orders:
            journal.write_document(self._order(order.name), order.model_dump(mode="json", by_alias=True))
        fleet = Fleet(
            created=journal.now(),
            command=command,
            orders=[order.name for order in orders],
            one_per_host=one_per_host,
            limits=Limits.of(limits, budget=limits.budget),
        )
        journal.write_document(self.directory / FLEET, fleet.model_dump(mode="json", by_alias=True))

    def fleet(self) -> Fleet | None:
        """Read what was begun here, None if nothing was. Raises JournalError, SchemaMismatchError."""
        document = journal.read_document(self.directory / FLEET)
        return None if document is None else read_model(Fleet, document, source=str(self.directory / FLEET))

    def missing(self) -> list[Order]:
        """Read the orders that have no part yet. Raises JournalError."""
        fleet = self.fleet()
        return self._read([name for name in fleet.orders if not self.part(name).is_dir()] if fleet else [])

    def orders(self) -> list[Order]:
        """Read all orders, those that have their part too. Raises JournalError."""
        fleet = self.fleet()
        return self._read(fleet.orders if fleet else [])

    def _read(self, names: list[str]) -> list[Order]:
        found = []
        for name in names:
            document = journal.read_document(self._order(name))
            if document is None:
                raise JournalError(f"{self._order(name)} is gone")
            found.append(read_model(Order, document, source=str(self._order(name))))
        return found

    def parts(self) -> list[Path]:
        """List the directories of the parts that are there, in the order of their names."""
        return sorted(path for path in (self.directory / PARTS).iterdir() if not path.name.startswith("."))

    def part(self, name: str) -> Path:
        """Return where the part of an order lies, or will."""
        return self.directory / PARTS / name

    def accept(self, order: Order, worker: Announcement, packed: bytes) -> None:
        """Put what an attempt found in place; a later one of the same order is left aside.

        Raises TornPartError, or ValueError where it can't be unpacked.
        """
        name = order.name
        beside = self.directory / PARTS / f".{name}-{order.attempt}"
        shutil.rmtree(beside, ignore_errors=True)
        try:
            unpack(packed, beside)
            self._check(order, beside)
            self._settle(order, beside)
            if not self.part(name).exists():
                beside.rename(self.part(name))
                self._note(order, place=worker.place, host=worker.host)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def abandon(self, order: Order, losses: list[str], status: Status) -> None:
        """Close the cases of an order that workers were lost at, or that found no free device, with where and how."""
        plan = order.plan
        if plan is None:
            raise ValueError("only what is measured can be given up")
        name = order.name
        beside = self.directory / PARTS / f".{name}-lost"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        why = f"{len(losses)} attempts were lost" if status == "crashed" else HELD
        reason = f"{why}: {'; '.join(losses)}"
        with journal.Journal(beside) as log:
            statuses: dict[str, int] = {}
            for planned in plan.cases:
                record = Record(
                    case=planned.case,
                    status=planned.skip or status,
                    reason=planned.reason if planned.skip else reason,
                    digest=plan.digest_of(planned.case),
                )
                statuses[record.status] = statuses.get(record.status, 0) + 1
                log.append_record(record)
        journal.write_document(beside / journal.PLAN, plan.model_dump(mode="json", by_alias=True))
        summary = Summary(
            started=journal.now(),
            ended=journal.now(),
            wall_seconds=0.0,
            call_seconds=0.0,
            call_share=0.0,
            statuses=statuses,
            rounds=0,
            complete=True,
            warnings=[f"Nothing of this part was measured: {reason}."],
        )
        journal.write_document(beside / journal.SUMMARY, summary.model_dump(mode="json", by_alias=True))
        beside.rename(self.part(name))
        self._note(order, place="; ".join(losses), host="")

    def merge(self) -> list[str]:
        """Make one run of the parts, or one for each kind of machine, in the sweep's directory; return what to warn of.

        Raises JournalError.
        """
        parts = self.parts()
        for part in parts:
            self._lend_environment(part, among=parts)
        merging = merge(parts)
        for name, content in sorted(merging.files.items()):
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{path.name}.part")
            partial.write_text(content, encoding="utf-8")
            partial.replace(path)
        return warnings(merging.merged)

    def _lend_environment(self, part: Path, *, among: list[Path]) -> None:
        """Give a part that no device described, as it was given up, the environment of another of its class."""
        if (part / journal.ENVIRONMENT).exists():
            return
        on = _class_of_part(part)
        known = (journal.read_environment(other) for other in among if _class_of_part(other) == on)
        lent = next((one for one in known if one is not None), Environment(id=f"{on}-never-seen", stable={"class": on}))
        journal.write_document(part / journal.ENVIRONMENT, lent.model_dump(mode="json", by_alias=True))

    def _order(self, name: str) -> Path:
        return self.directory / ORDERS / f"{name}.json"

    def _check(self, order: Order, part: Path) -> None:
        """Hold a part against its order. Raises TornPartError."""
        wanted = {planned.case.id for planned in order.plan.cases} if order.plan else set()
        plan, summary = journal.read_plan(part), journal.read_summary(part)
        if plan is None or {planned.case.id for planned in plan.cases} != wanted:
            raise TornPartError("its plan is not the one that was ordered")
        closed = journal.read(part).records.keys()
        if summary is None or not summary.complete or wanted - closed:
            raise TornPartError(f"{len(wanted - closed)} of its {len(wanted)} cases are open")

    def _settle(self, order: Order, part: Path) -> None:
        """Name the kernels' files in a part's plan as who ordered it knows them."""
        plan = journal.read_plan(part)
        if plan is not None and order.plan is not None:
            named = plan.model_copy(update={"impl_files": order.plan.impl_files, "command": order.plan.command})
            journal.write_document(part / journal.PLAN, named.model_dump(mode="json", by_alias=True))

    def _note(self, order: Order, *, place: str, host: str) -> None:
        line = {"order": order.name, "attempt": order.attempt, "place": place, "host": host, "ended": journal.now()}
        with (self.directory / LEDGER).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _class_of_part(part: Path) -> str:
    return part.name.rpartition("-")[0]
