"""The exponent of a power law with a fixed cost: its best fit and its interval, by profile likelihood.

The model is cost = floor + a * n^p * K(n): a fixed cost, a power, and a nuisance K that steps up smoothly once, as
costs do when data leave a cache. Relative weights, profile likelihood over p; docs/verdict.md explains it.
All functions take sizes [m] and costs [sets, m], so that many data sets are fitted at once.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.scaling.law import rise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.policy import ScalingPolicy

    Array = NDArray[np.float64]

# Parameters of floor + a n^p K(n): floor, a, p, place and height of the transition; one more with a lower term.
PARAMETERS, PARAMETERS_LAYER = 5, 6
# Elements of the arrays at a time, 32 MiB in float64: many data sets are judged in blocks, which caches hold in part.
BLOCK_ELEMENTS = 2**22
# Determinants below this share of their terms mean that floor and power are the same column.
SINGULAR = 1e-12
# Sizes of a claim of exponent 1 have no lower power to separate but the floor.
LINEAR = 1.5


@dataclass(frozen=True)
class Profile:
    """Hold the exponent's interval for each data set, and the best fit: arrays [sets], but `floor_share` [sets, m].

    `floor`, `slope` are in the unit of the costs; slope is the power's cost at the smallest size. `height` and `place`
    describe the transition, 1 if there is none.
    """

    low: Array
    best: Array
    high: Array
    floor: Array
    slope: Array
    height: Array
    place: Array
    floor_share: Array
    residual: Array


@dataclass(frozen=True)
class MixedProfile:
    """Hold the interval of p in floor + b n^low + a n^p; whether b alone suffices; the p term's share at the end."""

    low: Array
    best: Array
    high: Array
    lower_suffices: NDArray[np.bool_]
    share: Array


def exponent_profile(sizes: Array, costs: Array, *, claimed: float = 2.0, policy: ScalingPolicy) -> Profile:
    """Profile the exponent p of floor + a n^p K(n) for each row of costs [sets, m]."""
    parts = [_profile_block(sizes, block, claimed, policy) for block in _blocks(sizes, costs, claimed, policy)]
    return parts[0] if len(parts) == 1 else Profile(*map(np.concatenate, zip(*map(_fields, parts), strict=True)))


def mixed_profile(sizes: Array, costs: Array, *, claimed: float, policy: ScalingPolicy) -> MixedProfile:
    """Profile p of floor + b n^(claimed - 1) K + a n^p K for each row of costs [sets, m], no term negative."""
    parts = [_mixed_block(sizes, block, claimed, policy) for block in _blocks(sizes, costs, claimed, policy)]
    return parts[0] if len(parts) == 1 else MixedProfile(*map(np.concatenate, zip(*map(_fields, parts), strict=True)))


def _exponents(claimed: float, policy: ScalingPolicy) -> Array:
    """Return the grid of exponents, reaching 1.5 beyond the claim so that an interval has room."""
    high = max(policy.exponent_high, claimed + LINEAR)
    count = round((high - policy.exponent_low) / policy.exponent_step) + 1
    return np.asarray(policy.exponent_low + policy.exponent_step * np.arange(count), dtype=np.float64)


def candidate_steps(
    sizes: Array, *, heights: Sequence[float], places: int, policy: ScalingPolicy, margin: float = 0.25
) -> tuple[Array, Array, Array]:
    """Return transitions K(n) [steps, m], the first one absent, with their heights and places in log2 n."""
    octaves = np.log2(sizes)
    centres = np.linspace(octaves.min() + margin, octaves.max() - 0.25, places)
    pairs = [(1.0, float(octaves[0])), *itertools.product(heights, centres)]
    height, place = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    curves = rise(octaves, place=place[:, None], height=height[:, None], octaves=policy.transition_octaves)
    return curves, height, place


def fit_shapes(costs: Array, shapes: Array) -> tuple[Array, Array, Array]:
    """Fit floor + slope * shape with relative weights; costs [sets, m], shapes [s, m].

    Neither term is negative. Returns the sum of squared log residuals, floors and slopes, each [sets, s].
    """
    weight = 1.0 / costs
    square = weight * weight
    ww, sw = square.sum(axis=1)[:, None], weight.sum(axis=1)[:, None]
    ff, wf, sf = square @ (shapes * shapes).T, square @ shapes.T, weight @ shapes.T
    determinant = ww * ff - wf * wf
    singular = determinant <= SINGULAR * ww * ff
    safe = np.where(singular, 1.0, determinant)
    floor, slope = (sw * ff - sf * wf) / safe, (ww * sf - wf * sw) / safe
    bare = singular | (floor < 0.0) | (slope <= 0.0)
    floor, slope = np.where(bare, 0.0, floor), np.where(bare, sf / ff, slope)
    model = floor[:, :, None] + slope[:, :, None] * shapes[None]
    residuals = np.log(costs)[:, None, :] - np.log(model)
    return np.einsum("nsm,nsm->ns", residuals, residuals), floor, slope


def _profile_block(sizes: Array, costs: Array, claimed: float, policy: ScalingPolicy) -> Profile:
    exponents = _exponents(claimed, policy)
    steps, heights, places = candidate_steps(
        sizes, heights=policy.transitions, places=policy.transition_places, policy=policy
    )
    powers = (sizes / sizes[0]) ** exponents[:, None]
    shapes = (powers[:, None, :] * steps[None]).reshape(-1, len(sizes))
    rss, floors, slopes = fit_shapes(costs, shapes)
    by_exponent = rss.reshape(len(costs), len(exponents), len(steps)).min(axis=2)
    low, high, residual = _interval(by_exponent, exponents, parameters=PARAMETERS, count=len(sizes), policy=policy)
    rows, chosen = np.arange(len(costs)), rss.argmin(axis=1)
    floor, slope = floors[rows, chosen], slopes[rows, chosen]
    work = slope[:, None] * shapes[chosen]
    return Profile(
        low=low,
        best=exponents[chosen // len(steps)],
        high=high,
        floor=floor,
        slope=slope,
        height=heights[chosen % len(steps)],
        place=places[chosen % len(steps)],
        floor_share=floor[:, None] / (floor[:, None] + work),
        residual=residual,
    )


def _interval(
    misfit: Array, exponents: Array, *, parameters: int, count: int, policy: ScalingPolicy, least: Array | None = None
) -> tuple[Array, Array, Array]:
    """Return the hull of the exponents that fit as well as the best does, and the residual deviation."""
    freedom = max(count - parameters, 1)
    least = misfit.min(axis=1) if least is None else least
    variance = np.maximum(least / freedom, policy.noise_at_least**2)
    allowed = least + variance * f_quantile(freedom, policy.confidence)
    low = _last_kept(misfit[:, ::-1], exponents[::-1], allowed)
    high = _last_kept(misfit, exponents, allowed)
    return low, high, np.sqrt(least / freedom)


def _last_kept(misfit: Array, exponents: Array, allowed: Array) -> Array:
    """Return where the misfit leaves what is allowed for good, interpolated between grid points; the end if never."""
    rows, last = np.arange(len(misfit)), len(exponents) - 1
    kept = misfit <= allowed[:, None]
    inner = last - kept[:, ::-1].argmax(axis=1)
    inner = np.where(kept.any(axis=1), inner, misfit.argmin(axis=1))
    outer = np.minimum(inner + 1, last)
    rise = misfit[rows, outer] - misfit[rows, inner]
    room = np.maximum(allowed - misfit[rows, inner], 0.0)
    share = np.where(rise > 0.0, np.minimum(room / np.where(rise > 0.0, rise, 1.0), 1.0), 0.0)
    return np.asarray(exponents[inner] + share * (exponents[outer] - exponents[inner]), dtype=np.float64)


def _mixed_block(sizes: Array, costs: Array, claimed: float, policy: ScalingPolicy) -> MixedProfile:
    lower = claimed - 1.0
    count = round((LINEAR + 0.7) / policy.layer_exponent_step) + 1
    exponents = np.asarray(lower + 0.3 + policy.layer_exponent_step * np.arange(count), dtype=np.float64)
    steps = candidate_steps(
        sizes, heights=policy.layer_transitions, places=policy.layer_transition_places, policy=policy, margin=0.5
    )[0]
    x = sizes / sizes[0]
    one, low_term = np.ones_like(steps), x**lower * steps  # [steps, m]
    power = x ** exponents[:, None, None] * steps[None]  # [exponents, steps, m]
    design = np.stack(np.broadcast_arrays(one[None], low_term[None], power), axis=-1)
    design = design.reshape(-1, len(sizes), 3)
    coefficients = non_negative(design[None] / costs[:, None, :, None])
    rss = _log_misfit(design, coefficients, costs)
    by_exponent = rss.reshape(len(costs), len(exponents), len(steps)).min(axis=2)
    without = fit_shapes(costs, low_term)[0].min(axis=1)
    least = np.minimum(by_exponent.min(axis=1), without)
    low, high, _ = _interval(
        by_exponent, exponents, parameters=PARAMETERS_LAYER, count=len(sizes), policy=policy, least=least
    )
    freedom = max(len(sizes) - PARAMETERS_LAYER, 1)
    variance = np.maximum(least / freedom, policy.noise_at_least**2)
    rows, chosen = np.arange(len(costs)), rss.argmin(axis=1)
    best = coefficients[rows, chosen] * design[chosen, -1]  # the three terms at the largest size
    return MixedProfile(
        low=low,
        best=exponents[chosen // len(steps)],
        high=high,
        lower_suffices=without - least <= variance * f_quantile(freedom, policy.confidence),
        share=best[:, 2] / best.sum(axis=1),
    )


def non_negative(design: Array) -> Array:
    """Solve min |1 - design @ b| with b >= 0 for designs [..., m, 3], by trying every support; returns [..., 3]."""
    gram = np.einsum("...mi,...mj->...ij", design, design)
    right = design.sum(axis=-2)
    best = np.zeros(right.shape)
    least = np.full(right.shape[:-1], np.inf)
    for support in ([0, 1, 2], [0, 2], [1, 2], [2], [0, 1]):
        inner = gram[..., support, :][..., :, support]
        ridge = SINGULAR * np.trace(inner, axis1=-2, axis2=-1)[..., None, None] * np.eye(len(support))
        solution = np.linalg.solve(inner + ridge, right[..., support][..., None])[..., 0]
        full = np.zeros(right.shape)
        full[..., support] = solution
        misfit = np.einsum("...i,...ij,...j->...", full, gram, full) - 2.0 * np.einsum("...i,...i->...", full, right)
        better = (solution >= 0.0).all(axis=-1) & (misfit < least)
        best = np.where(better[..., None], full, best)
        least = np.where(better, misfit, least)
    return np.asarray(best, dtype=np.float64)


def _log_misfit(design: Array, coefficients: Array, costs: Array) -> Array:
    model = np.einsum("smi,nsi->nsm", design, coefficients)
    residuals = np.log(costs)[:, None, :] - np.log(np.maximum(model, np.finfo(float).tiny))
    misfit: Array = np.einsum("nsm,nsm->ns", residuals, residuals)
    return misfit


def _blocks(sizes: Array, costs: Array, claimed: float, policy: ScalingPolicy) -> list[Array]:
    shapes = len(_exponents(claimed, policy)) * (1 + len(policy.transitions) * policy.transition_places)
    step = max(1, BLOCK_ELEMENTS // (8 * shapes * len(sizes)))
    return [costs[start : start + step] for start in range(0, len(costs), step)]


def _fields(part: Profile | MixedProfile) -> list[Array]:
    return list(vars(part).values())


@functools.cache
def f_quantile(freedom: int, confidence: float) -> float:
    """Return the quantile of F(1, freedom)."""
    from scipy.special import fdtri

    return float(fdtri(1, freedom, confidence))
