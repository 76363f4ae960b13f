"""The contents of summary.json: how a run went, in a few figures."""

from __future__ import annotations

from pydantic import Field

from harness.records import SCHEMA, Ceiling, DataModel, Record


class Summary(DataModel):
    """The contents of summary.json. `wall_seconds` run from the start of the command until the records were closed.

    `call_share` is the share of them inside calls of implementations, `timed_share` that in timed samples, which runs
    before schema 1.3 don't have. `stages` splits them by what was done, with what has no name as `other` (from schema
    1.4 on). `left_out` says what the time budget did not hold. `ceilings_after` are ceilings of the run's start
    measured again at its end. `throttled_periods` are those in which a quota of processor time stopped the run, None
    without one.
    """

    schema_version: str = Field(default=SCHEMA, alias="schema")
    started: str
    ended: str
    wall_seconds: float
    call_seconds: float
    call_share: float
    timed_seconds: float | None = None
    timed_share: float | None = None
    stages: dict[str, float] = Field(default_factory=dict)
    left_out: list[str] = Field(default_factory=list)
    statuses: dict[str, int]
    rounds: int
    workers: int = 1
    complete: bool
    warnings: list[str] = Field(default_factory=list)
    throttled_periods: int | None = None
    ceilings_after: list[Ceiling] = Field(default_factory=list)

    model_config = Record.model_config
