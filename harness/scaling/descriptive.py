"""Fits that describe and decide nothing: all axes at once, and the terms of an additive law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.policy import ScalingPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Draws of the bootstrap of additive fits; 200 place the ends of a 95 % interval within a few per cent of its width.
BOOTSTRAP_DRAWS, BOOTSTRAP_SEED = 200, 0


@dataclass(frozen=True)
class AxisExponent:
    """Hold an exponent of the joint fit with its interval."""

    exponent: float
    low: float
    high: float


@dataclass(frozen=True)
class JointFit:
    """Hold floor + a * product of axis ** exponent, fitted to every point at once; `residual` in log cost."""

    exponents: dict[str, AxisExponent]
    floor: float
    residual: float
    points: int


def joint_fit(
    points: Sequence[Mapping[str, float]],
    costs: Sequence[float],
    *,
    axes: Sequence[str],
    policy: ScalingPolicy | None = None,
) -> JointFit | None:
    """Fit floor + a * prod(axis ** exponent) to all points in log cost; axes that do not vary are left out.

    Intervals are from the curvature at the best fit, with Student's t. None if points don't outnumber parameters.
    """
    from scipy.optimize import least_squares
    from scipy.special import stdtrit

    policy = policy or ScalingPolicy()
    varying = [axis for axis in axes if len({point[axis] for point in points}) > 1]
    count = len(varying) + 2
    if not varying or len(points) <= count:
        return None
    logs = np.log(np.array([[point[axis] for axis in varying] for point in points], dtype=float))
    logs -= logs.mean(axis=0)
    target = np.log(np.asarray(costs, dtype=float))
    start = np.concatenate([[target.min() - 2.0, target.mean()], np.linalg.lstsq(logs, target, rcond=None)[0]])

    def residuals(parameters: Array) -> Array:
        work = parameters[1] + logs @ parameters[2:]
        return np.asarray(np.logaddexp(parameters[0], work) - target, dtype=float)

    fit = least_squares(residuals, start)
    freedom = len(points) - count
    variance = max(float(fit.fun @ fit.fun) / freedom, policy.noise_at_least**2)
    covariance = variance * np.linalg.pinv(fit.jac.T @ fit.jac)
    quantile = float(stdtrit(freedom, 0.5 + policy.confidence / 2.0))
    exponents = {}
    for index, axis in enumerate(varying, start=2):
        value, half = float(fit.x[index]), quantile * math.sqrt(float(covariance[index, index]))
        exponents[axis] = AxisExponent(round(value, 4), round(value - half, 4), round(value + half, 4))
    return JointFit(
        exponents=exponents,
        floor=float(np.exp(fit.x[0])),
        residual=math.sqrt(float(fit.fun @ fit.fun) / freedom),
        points=len(points),
    )


@dataclass(frozen=True)
class AdditiveFit:
    """Hold floor + sum of coefficient * term, no part negative, fitted with relative weights.

    `intervals` are 95 % percentiles of a residual bootstrap; `held_out` is the relative error of predicting the
    largest point from the others, None if those are too few.
    """

    floor: float
    coefficients: list[float]
    intervals: list[tuple[float, float]]
    residual: float
    held_out: float | None


def additive_fit(
    points: Sequence[Mapping[str, float]], costs: Sequence[float], *, terms: Sequence[Mapping[str, float]]
) -> AdditiveFit | None:
    """Fit costs by a floor and declared terms, each a product of axis ** exponent; None if points are too few."""
    rows = np.array([[1.0, *(_term(point, term) for term in terms)] for point in points], dtype=float)
    cost = np.asarray(costs, dtype=float)
    if len(points) < rows.shape[1] + 2:
        return None
    solution = _relative_nnls(rows, cost)
    model = rows @ solution
    residuals = np.log(cost / model)
    # Fitted residuals are smaller than the errors by the share of what the parameters took.
    errors = (residuals - residuals.mean()) * math.sqrt(len(cost) / (len(cost) - rows.shape[1]))
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    drawn = np.array(
        [_relative_nnls(rows, model * np.exp(generator.choice(errors, size=len(cost)))) for _ in range(BOOTSTRAP_DRAWS)]
    )
    low, high = np.percentile(drawn[:, 1:], [2.5, 97.5], axis=0)
    largest = int(model.argmax())
    rest = np.arange(len(cost)) != largest
    held_out = None
    if rest.sum() >= rows.shape[1] + 2:
        predicted = float(rows[largest] @ _relative_nnls(rows[rest], cost[rest]))
        held_out = predicted / float(cost[largest]) - 1.0
    return AdditiveFit(
        floor=float(solution[0]),
        coefficients=[float(value) for value in solution[1:]],
        intervals=[(float(a), float(b)) for a, b in zip(low, high, strict=True)],
        residual=float(errors.std()),
        held_out=held_out,
    )


def _term(point: Mapping[str, float], term: Mapping[str, float]) -> float:
    return float(math.prod(point[axis] ** exponent for axis, exponent in term.items()))


def _relative_nnls(rows: Array, cost: Array) -> Array:
    """Solve min |rows @ b / cost - 1| with b >= 0, columns scaled alike."""
    from scipy.optimize import nnls

    design = rows / cost[:, None]
    scale = np.linalg.norm(design, axis=0)
    solution, _ = nnls(design / scale, np.ones(len(cost)))
    return np.asarray(solution / scale, dtype=np.float64)
