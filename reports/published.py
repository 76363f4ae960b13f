"""Throughput that others published, matched to a run on the same device model."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports import units

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

# docs/report.md says where the rows come from and how operations are counted in them.
# Queries that one thread block of a fused kernel takes, and the processors of an H100 or H200.
QUERIES_PER_BLOCK, PROCESSORS = 128, 132
FILE = Path(__file__).parent / "published.csv"
# What others call implementations that have another name here.
OUR_NAMES = {"cudnn": "sdpa-cudnn"}
# What a driver calls a model whose published name has other words.
DRIVER_NAMES = {"NVIDIA H100 80GB HBM3": "NVIDIA H100 SXM5"}
# Words of a device's name that make it another model than one published without them.
OTHER_MODELS = {"pcie", "nvl", "mig"}


@dataclass(frozen=True)
class Published:
    """One published figure; `rate` is operations per second by the convention of its source."""

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
    """Tell whether a run's device is the published model: every word of the published name is in the run's.

    A board of another make, or a part of a device, is another model.
    """
    wanted = _words(published)
    have = _words(DRIVER_NAMES.get(machine, machine))
    return wanted <= have and not (have - wanted) & OTHER_MODELS


def _words(name: str) -> set[str]:
    return set(name.lower().replace("-", " ").split())


def beside(table: pd.DataFrame, axis: str, *, machine: str) -> dict[str, list[Published]]:
    """Return published figures by implementation, in order of size, that belong into a sweep's drawing.

    They are of the same device, dtype, direction, masking and d or n, whichever is not swept, and inside the sweep's
    range; of several batches at one size the one nearest to ours. Sweeps over other axes have none.
    """
    found: dict[str, list[Published]] = {}
    if axis not in {"n", "d"} or table.empty:
        return found
    first = table.iloc[0]
    fixed = "d" if axis == "n" else "n"
    smallest, largest = float(table[axis].min()), float(table[axis].max())
    causal = is_causal(first["causal"])
    load = float(first["batch"]) * float(first["heads"])
    of_device = [item for item in figures() if same_device(item.device, machine)]
    nearest = sorted(of_device, key=lambda item: abs(math.log(item.batch * item.heads / load)) if load > 0 else 0.0)
    for item in nearest:
        here = (item.dtype, item.direction, item.causal) == (first["dtype"], first["direction"], causal)
        size = float(getattr(item, axis))
        if not here or float(getattr(item, fixed)) != first[fixed] or not smallest <= size <= largest:
            continue
        known = found.setdefault(item.implementation, [])
        if all(getattr(other, axis) != getattr(item, axis) for other in known):
            known.append(item)
    return {name: sorted(items, key=lambda item: float(getattr(item, axis))) for name, items in sorted(found.items())}


def is_causal(value: object) -> bool:
    """Tell whether a table's cell says that the mask is causal; an empty one says that it is not."""
    return value is True or value == 1


def fills_alike(item: Published, row: Mapping[Any, Any]) -> bool:
    """Tell whether two cases load a device alike: their heads differ by a factor of two at most, or both fill it.

    A kernel has a thread block for each head and 128 queries; fewer blocks than processors leave some idle.
    """
    ours = _load(row)
    theirs = item.batch * item.heads
    both_fill = min(ours, theirs) * item.n / QUERIES_PER_BLOCK >= PROCESSORS
    return both_fill or max(ours, theirs) <= 2 * min(ours, theirs)


def _load(row: Mapping[Any, Any]) -> float:
    """Return batch times heads; an axis that a point does not have is empty, which is no number."""
    return math.prod(float(row[axis]) if row[axis] == row[axis] else 1.0 for axis in ("batch", "heads"))


def _is_alike(item: Published, row: Mapping[Any, Any]) -> bool:
    """Tell whether a case is the published one, batch, heads and implementation aside."""
    same = (item.n, item.d, item.dtype, item.direction) == (row["n"], row["d"], row["dtype"], row["direction"])
    return same and item.causal == is_causal(row["causal"])


def comparison(table: pd.DataFrame, *, machine: str) -> list[tuple[str, ...]]:
    """Return rows that set published rates beside ours at the same n, d, dtype, direction and masking.

    Batch and heads may differ: with thousands of tokens both fill the device. The nearest number of batch * heads is
    taken.
    """
    found: list[tuple[str, ...]] = []
    ok = table[(table["status"] == "ok") & (table["problem"] == "attention")]
    columns = ["implementation", "n", "d", "dtype", "direction", "causal", "batch", "heads", "time_s", "tflops"]
    measured = ok[columns].to_dict("records")
    for item in figures():
        if not same_device(item.device, machine):
            continue
        mine = [row for row in measured if _is_alike(item, row)]
        same = [row for row in mine if row["implementation"] == item.implementation]
        chosen = [row for row in same or mine if fills_alike(item, row)]
        if not chosen:
            continue
        row = min(chosen, key=lambda row: (abs(_load(row) - item.batch * item.heads), row["time_s"]))
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
