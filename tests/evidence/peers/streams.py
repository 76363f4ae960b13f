"""Streams of block times as machines give them, relative to a true long-run median of 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

# Standard deviation of one block's time where nothing else disturbs.
NOISE = 0.02
OUTLIER_SHARE, OUTLIER_MEAN = 0.05, 0.5
AR_COEFFICIENT, AR_DEVIATION = 0.8, 0.03
DRIFT_DEVIATION, DRIFT_SECONDS = 0.02, 20.0


@dataclass(frozen=True)
class Stream:
    """A kind of noise. `gap` is how many seconds of other cases lie between two rounds of one."""

    name: str
    describes: str
    gap: float = 1.0


INDEPENDENT = Stream("independent", "every block by itself, 2 % scatter")
OUTLIERS = Stream("outliers", "independent, and every twentieth block half as long again")
CORRELATED = Stream("AR(1)", "3 % scatter, each block 0.8 correlated with the one before")
DRIFT = Stream("drift", "outliers, on a slow drift of 2 % with a correlation time of 20 s", gap=10.0)
STREAMS = (INDEPENDENT, OUTLIERS, CORRELATED, DRIFT)


def visits(stream: Stream, *, count: int, length: int, block: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Draw `count` visits of `length` blocks each, `block` seconds per block, `stream.gap` seconds apart.

    One visit of many blocks is what a tool sees that measures a case in one go.
    """
    if stream is INDEPENDENT:
        return [np.exp(rng.normal(0, NOISE, length)) for _ in range(count)]
    if stream is OUTLIERS:
        return [with_outliers(rng, length) for _ in range(count)]
    if stream is CORRELATED:
        # Visits a second apart are hundreds of correlation times apart.
        return [np.exp(wander(rng, length, coefficient=AR_COEFFICIENT, deviation=AR_DEVIATION)) for _ in range(count)]
    within = math.exp(-block / DRIFT_SECONDS)
    between = math.exp(-stream.gap / DRIFT_SECONDS)
    starts = wander(rng, count, coefficient=between, deviation=DRIFT_DEVIATION)
    return [
        with_outliers(rng, length)
        * np.exp(wander(rng, length, coefficient=within, deviation=DRIFT_DEVIATION, start=start))
        for start in starts
    ]


def with_outliers(rng: np.random.Generator, length: int) -> np.ndarray:
    """Draw independent blocks, some of them longer by an exponential share."""
    blocks = np.exp(rng.normal(0, NOISE, length))
    slow = rng.random(length) < OUTLIER_SHARE
    return blocks * np.where(slow, 1 + rng.exponential(OUTLIER_MEAN, length), 1.0)


def wander(
    rng: np.random.Generator, length: int, *, coefficient: float, deviation: float, start: float | None = None
) -> np.ndarray:
    """Draw a stationary first-order autoregression, from `start` where given."""
    first = rng.normal(0, deviation) if start is None else start
    steps = rng.normal(0, deviation * math.sqrt(1 - coefficient**2), length)
    steps[0] = first
    return lfilter([1.0], [1.0, -coefficient], steps)


def true_median(stream: Stream, *, block: float, rng: np.random.Generator) -> float:
    """Return the long-run median, from many visits far apart."""
    return float(np.median(np.concatenate(visits(stream, count=4000, length=100, block=block, rng=rng))))
