"""The parts of a merged run: which device measured what, what each was closed by, and whether its boards are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports import units
from reports.chapters.chapter import ROWS_AT_MOST, Chapter, Section, Table, of_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.results.merged_file import Board, Merged, MergedPart
    from harness.results.run import Run

HOW = (
    "Each part was a run of its own, and its records were closed by its own canary, ceilings and rounds. Every part "
    "measured one case alike, the bridge: by it the devices of a class are held against each other. The noise is what "
    "two measurements of one device may differ by, at 5 % over all of them."
)
COLUMNS = ("part", "device", "host", "cases", "without a record", "took", "canary", "neighbours", "bridge")
BOARD_COLUMNS = ("device", "parts", "bridge", "over the median", "noise", "")


def parts_chapter(runs: Sequence[Run]) -> Chapter | None:
    """Show the parts of merged runs and how their boards compare; None if no run was merged."""
    sections = tuple(
        Section(of_run(run, "Parts and boards", runs), "", (), _tables(run, run.merged)) for run in runs if run.merged
    )
    return Chapter("parts", "Parts", HOW, sections) if sections else None


def _tables(run: Run, merged: Merged) -> tuple[Table, ...]:
    beside: dict[str, int] = {}
    for record in run.records:
        if record.neighbours is not None:
            beside[record.part] = max(beside.get(record.part, 0), record.neighbours)
    parts = tuple(_part(part, beside.get(part.label)) for part in merged.parts[:ROWS_AT_MOST])
    tables = [Table("Parts", COLUMNS, parts)]
    if merged.boards:
        # The one that is farthest from the others comes first.
        ordered = sorted(merged.boards, key=lambda board: -max(board.ratio, 1 / board.ratio))
        tables.append(Table("Boards, by the bridge", BOARD_COLUMNS, tuple(map(_board, ordered[:ROWS_AT_MOST]))))
    return tuple(tables)


def _part(part: MergedPart, neighbours: int | None) -> tuple[str, ...]:
    reading = part.bridge
    return (
        part.label,
        part.board,
        part.hostname or units.ABSENT,
        f"{part.cases:,}",
        f"{len(part.unfinished):,}",
        units.ABSENT if part.wall_seconds is None else units.duration(part.wall_seconds),
        units.seconds(part.canary_floor),
        units.ABSENT if neighbours is None else str(neighbours),
        units.ABSENT if reading is None else units.seconds(reading.seconds) if reading.seconds else reading.status,
    )


def _board(board: Board) -> tuple[str, ...]:
    return (
        board.board,
        ", ".join(board.parts),
        units.seconds(board.seconds),
        units.ratio(board.ratio),
        f"±{units.percent(board.noise - 1)}",
        "off" if board.is_off else "",
    )
