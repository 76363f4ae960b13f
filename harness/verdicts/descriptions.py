"""Fits and figures that stand beside a verdict and decide nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.scaling.descriptive import additive_fit, joint_fit
from harness.verdicts.evidence import Evidence, finite, series_along, size_of, times_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.policy import ScalingPolicy
    from harness.verdicts.evidence import Group
    from scenarios.scenario import Claim

GRID_AXES = ("n", "d", "heads", "batch")
LINEAR_PHASES, QUADRATIC_PHASES = ("projections", "output"), ("scores", "weighted sum")


def crossover(claim: Claim, group: Group) -> dict[str, float]:
    """Return the n where the quadratic phases of an additive law overtake the linear ones, exactly."""
    series = series_along(group.records, axis="n")
    counts = series[-1][1].counts if claim.law == "additive" and series else None
    if counts is None:
        return {}
    linear = sum(counts.phases.get(name, 0) for name in LINEAR_PHASES)
    quadratic = sum(counts.phases.get(name, 0) for name in QUADRATIC_PHASES)
    return {"crossover": series[-1][0] * linear / quadratic} if linear and quadratic else {}


def additive(claim: Claim, group: Group) -> Evidence:
    """Fit the terms of an additive law to the times of the sweep over n; descriptive."""
    series = series_along(group.records, axis="n") if claim.law == "additive" else []
    axes = {axis for term in claim.terms for axis in term}
    points = [{axis: float(size_of(record.case.point, axis)) for axis in axes} for _, record in series]
    fit = additive_fit(points, times_of(series)[1], terms=claim.terms) if points else None
    if fit is None:
        return {}
    described = [
        {"term": dict(term), "seconds": value, "low": low, "high": high}
        for term, value, (low, high) in zip(claim.terms, fit.coefficients, fit.intervals, strict=True)
    ]
    return {
        "additive": {
            "floor_seconds": fit.floor,
            "terms": described,
            "residual": fit.residual,
            "held_out_error": fit.held_out,
        }
    }


def joint(claim: Claim, group: Group, policy: ScalingPolicy) -> Evidence:
    """Fit all four axes at once, beside the fits of one axis; descriptive."""
    if claim.law != "power" or "time" not in claim.quantities or len(claim.exponents) < len(GRID_AXES):
        return {}
    plain = [
        (point, record.time.for_laws)
        for record in group.records
        if record.time is not None and (point := _grid_point(record.case.point)) is not None
    ]
    fit = joint_fit([p for p, _ in plain], [t for _, t in plain], axes=GRID_AXES, policy=policy) if plain else None
    if fit is None:
        return {}
    exponents = {axis: [e.exponent, e.low, e.high] for axis, e in fit.exponents.items()}
    return {
        "joint": {
            "exponents": exponents,
            "floor_seconds": fit.floor,
            "residual": finite(fit.residual),
            "points": fit.points,
        }
    }


def _grid_point(point: Mapping[str, Any]) -> dict[str, float] | None:
    """Return the four axes of a plain point, None for masked or cross attention."""
    if "n" not in point or set(point) - {*GRID_AXES, "causal"} or point.get("causal"):
        return None
    return {axis: float(size_of(point, axis)) for axis in GRID_AXES}
