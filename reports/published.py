"""Throughput that others published, matched to a run on the same device model."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reports import units

if TYPE_CHECKING:
    import pandas as pd

# docs/report.md says where the rows come from and how operations are counted in them.
FILE = Path(__file__).parent / "published.csv"
# What others call implementations that have another name here.
OUR_NAMES = {"cudnn": "sdpa-cudnn"}


@dataclass(frozen=True)
class Published:
    """One published figure; `rate` is operations a second by the convention of its source."""

    source: str
    device: str
    implementation: str
    dtype: str
    direction: str
    causal: bool
    batch: int
    heads: int
    d: int
    n: int
    rate: float
    note: str


def figures() -> list[Published]:
    """Read every published figure."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return [
            Published(
                source=row["source"],
                device=row["device"],
                implementation=OUR_NAMES.get(row["implementation"], row["implementation"]),
                dtype=row["dtype"],
                direction=row["direction"],
                causal=row["causal"] == "True",
                batch=int(row["batch"]),
                heads=int(row["heads"]),
                d=int(row["d_head"]),
                n=int(row["n"]),
                rate=float(row["tflops"]) * 1e12,
                note=row["note"],
            )
            for row in csv.DictReader(file)
        ]


def same_device(published: str, machine: str) -> bool:
    """Tell whether a run's device is the published model: every word of the published name is in the run's."""
    have = set(machine.lower().replace("-", " ").split())
    return all(word in have for word in published.lower().replace("-", " ").split())


def comparison(table: pd.DataFrame, *, machine: str) -> list[tuple[str, ...]]:
    """Return rows that set published rates beside ours at the same n, d, dtype, direction and masking.

    Batch and heads may differ: with thousands of tokens both fill the device. The nearest number of batch * heads is
    taken.
    """
    found: list[tuple[str, ...]] = []
    ok = table[(table["status"] == "ok") & (table["problem"] == "attention")]
    for item in figures():
        if not same_device(item.device, machine):
            continue
        causal = ok["causal"].map(lambda value: value is True or value == 1)
        mine = ok[
            (ok["n"] == item.n) & (ok["d"] == item.d) & (ok["dtype"] == item.dtype) & (causal == item.causal)
            & (ok["direction"] == item.direction)
        ]  # fmt: skip
        same = mine[mine["implementation"] == item.implementation]
        if mine.empty:
            continue
        chosen = same if not same.empty else mine
        nearest = (chosen["batch"].fillna(1) * chosen["heads"].fillna(1) - item.batch * item.heads).abs()
        chosen = chosen.assign(gap=nearest).sort_values(["gap", "median_s"])
        row = chosen.iloc[0]
        ours = float(row["tflops"]) * 1e12
        found.append(
            (
                f"n {item.n:,}, d {item.d}, {item.dtype}, {item.direction}{', causal' if item.causal else ''}",
                item.implementation,
                units.count(item.rate, "FLOP/s"),
                str(row["implementation"]),
                units.count(ours, "FLOP/s"),
                units.ratio(ours / item.rate),
                item.source + (f" ({item.note})" if item.note else ""),
            )
        )
    return found
