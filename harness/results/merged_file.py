"""The contents of merged.json: which parts a merged directory was made of, and what holds between them."""

from __future__ import annotations

from pydantic import Field

from harness.records import SCHEMA, Ceiling, DataModel, Record


class Reading(DataModel):
    """What one part measured of the bridge: seconds per call with the 95 % interval, None if it has no time."""

    case: str
    status: str
    seconds: float | None = None
    low: float | None = None
    high: float | None = None


class MergedPart(DataModel):
    """A part: the run that one device made of some of the cases, with what its records were closed by.

    `board` tells the device from others of its class: a GPU's UUID, or the host and the cores. `cases` is how many
    records were taken from it. `unfinished` has the labels of cases that it has no closed record of. `canary_floor` is
    in seconds, None on a device without a canary.
    """

    label: str
    name: str = ""
    group: str
    environment_id: str
    device: str
    board: str
    hostname: str = ""
    cases: int
    unfinished: list[str] = Field(default_factory=list)
    started: str = ""
    ended: str = ""
    wall_seconds: float | None = None
    complete: bool = False
    canary_floor: float | None = None
    ceilings: list[Ceiling] = Field(default_factory=list)
    bridge: Reading | None = None


class Duplicate(DataModel):
    """A case that two parts of one environment have: whose record is kept, and whose is left."""

    case: str
    label: str
    kept: str
    left: str


class Board(DataModel):
    """A device among those of its class, by the bridge; `ratio` is its time over the median, or over the other of two.

    `noise` is by what factor two measurements of one device may differ, at 5 % over all boards; `is_off` where the
    ratio is beyond it.
    """

    group: str
    board: str
    parts: list[str]
    seconds: float
    ratio: float
    noise: float
    is_off: bool


class Group(DataModel):
    """The parts of one environment: their folder in the directory, "" where that is the directory itself.

    `lacks` has the labels of cases, by id, that other groups have closed records of and this one has not.
    """

    folder: str
    environment_id: str
    device_name: str
    cases: int
    lacks: dict[str, str] = Field(default_factory=dict)


class Merged(DataModel):
    """The contents of merged.json. `missing` has the labels of planned cases without a closed record, by id.

    `mixed` says what was not the same in all parts, where they were merged all the same; `empty` has the labels of
    parts that measured nothing.
    """

    schema_version: str = Field(default=SCHEMA, alias="schema")
    groups: list[Group]
    parts: list[MergedPart]
    duplicates: list[Duplicate] = Field(default_factory=list)
    missing: dict[str, str] = Field(default_factory=dict)
    boards: list[Board] = Field(default_factory=list)
    mixed: list[str] = Field(default_factory=list)
    empty: list[str] = Field(default_factory=list)

    model_config = Record.model_config
