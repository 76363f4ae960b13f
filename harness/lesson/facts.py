"""What a lesson found, as one document that its page is rendered from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, JsonValue

from harness.records import SCHEMA, DataModel, Record
from harness.results import documents, journal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LESSON = "lesson.json"


class Method(DataModel):
    """A way of pooling on the test grid: predictions, weights [queries, keys], mean squared error from the truth.

    `bends` counts how often the prediction turns from rising to falling or back along the grid.
    """

    name: str
    formula: str
    predictions: list[float]
    weights: list[list[float]]
    error: float
    bends: int


class Pooling(DataModel):
    """The data of the pooling chapters, and every method on it."""

    seed: int
    x: list[float]
    y: list[float]
    grid: list[float]
    truth: list[float]
    methods: list[Method]


class Training(DataModel):
    """One training from one seed: losses of chosen epochs, w at the end, and the best w for the same loss."""

    seed: int
    start: float
    first: float
    second: float
    last: float
    largest_rise: float
    w: float
    best_w: float
    best_loss: float


class Learning(DataModel):
    """The training that is shown, and outcomes over seeds. `losses` has one entry an epoch, before its step."""

    seed: int
    why: str
    rate: float
    losses: list[float]
    scales: list[float]
    best_w: float
    best_loss: float
    landscape: list[tuple[float, float]]
    outcomes: list[Training]


class Example(DataModel):
    """The multi-head example: constant inputs, on which every row is W_o W_v 1 whatever the mask.

    Differences are the largest over all masks tried; `unit` is the dtype's unit roundoff, `size` the largest output.
    `steps` are what the module does, in order, with the shape that each gives.
    """

    shape: list[int]
    steps: list[tuple[str, list[int]]] = Field(default_factory=list)
    masks: list[str]
    between_rows: float
    from_product: float
    size: float
    unit: float


class Answered(DataModel):
    """What one backend of the fused call said to tensors of a shape: the operator that ran, or the refusal."""

    shape: list[int]
    backend: str
    ran: bool
    message: str


class Work(DataModel):
    """Operations of the steps of a module at one size, from the cost model."""

    n: int
    width: int
    heads: int
    phases: dict[str, int]


class Lesson(DataModel):
    """The contents of lesson.json."""

    schema_version: str = Field(default=SCHEMA, alias="schema")
    created: str
    device: str
    versions: dict[str, str]
    pooling: Pooling
    learning: Learning
    example: Example
    fused: list[Answered]
    work: list[Work]
    seconds: float

    model_config = Record.model_config


def write(lesson: Lesson, directory: Path) -> None:
    """Write lesson.json into a run directory."""
    journal.write_document(directory / LESSON, lesson.model_dump(mode="json", by_alias=True))


def found(directory: Path) -> Lesson | None:
    """Read lesson.json where there is one. Raises JournalError, SchemaMismatchError for a newer schema."""
    document = journal.read_document(directory / LESSON)
    return None if document is None else _lesson(document, directory)


def read(directory: Path) -> Lesson:
    """Read lesson.json. Raises JournalError where there is none, SchemaMismatchError for a newer schema."""
    document = journal.read_document(directory / LESSON)
    if document is None:
        raise documents.JournalError(f"{directory} holds no lesson: it has no {LESSON}")
    return _lesson(document, directory)


def _lesson(document: Mapping[str, JsonValue], directory: Path) -> Lesson:
    return documents.read_model(Lesson, document, source=str(directory / LESSON))
