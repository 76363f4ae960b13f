"""What other tools conclude from the same sizes and times, as their published rules do; all vectorised over data sets.

Each function takes sizes [m] and times in seconds [sets, m], and returns the exponent of the law that the tool names,
log factors aside: the reader of its output learns no more. None of the rules can say that it does not know.
"""

from __future__ import annotations

import warnings

import numpy as np

# Extra-P 4.2.5, extrap/modelers/single_parameter/basic.py: (exponent of n, exponent of log2 n) of its hypotheses.
EXTRA_P = (
    *((0, q) for q in (1, 2)),
    *((p, q) for p in (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1, 3 / 2, 2, 5 / 2) for q in (0, 1, 2)),
    *((p, q) for p in (5 / 4, 4 / 3, 3) for q in (0, 1)),
    *((p, 0) for p in (4 / 5, 5 / 3, 7 / 4, 9 / 4, 7 / 3, 8 / 3, 11 / 4)),
)
# extrap/modelers/single_parameter/abstract_base.py: a term that contributes less than this is dropped.
EXTRA_P_CONTRIBUTION = 0.0005


def log_log_slope(sizes, times):
    """Return the slope of an ordinary line through logarithms."""
    x = np.log(sizes) - np.log(sizes).mean()
    return np.log(times) @ x / (x @ x)


def google_benchmark(sizes, times):
    """Return the exponent of google/benchmark's best fit (src/complexity.cc, MinimalLeastSq): no constant term.

    The coefficient is sum(t g) / sum(g^2); the law with the least root mean square, relative to the mean, wins;
    constant is tried first, then log n, n, n log n, n^2, n^3.
    """
    n = sizes
    laws = [(0, np.ones_like(n)), (0, np.log2(n)), (1, n), (1, n * np.log2(n)), (2, n**2), (3, n**3)]
    misfits = []
    for _, g in laws:
        coefficient = times @ g / (g @ g)
        misfits.append(np.sqrt(((times - coefficient[:, None] * g) ** 2).mean(axis=1)) / times.mean(axis=1))
    return np.array([exponent for exponent, _ in laws], dtype=float)[np.argmin(misfits, axis=0)]


def extra_p(sizes, times):
    """Return the exponent of Extra-P's single-parameter model: c0 + c1 n^p log2(n)^q with the least SMAPE.

    Ordinary least squares, symmetric mean absolute percentage error under leave-one-out; the constant model first.
    """
    constant = times.mean(axis=1)[:, None]
    best = _smape(constant, times)
    chosen = np.zeros(len(times))
    for p, q in EXTRA_P:
        term = sizes**p * np.log2(sizes) ** q
        design = np.stack([np.ones_like(term), term / term.max()], axis=1)
        solve = np.linalg.pinv(design)
        coefficients = times @ solve.T
        fitted = coefficients @ design.T
        leverage = np.einsum("mi,im->m", design, solve)
        left_out = times - (times - fitted) / (1.0 - leverage)
        error = _smape(left_out, times)
        contribution = np.abs(coefficients[:, 1:] * design[:, 1] / times).max(axis=1)
        better = (error < best) & (contribution >= EXTRA_P_CONTRIBUTION)
        best, chosen = np.where(better, error, best), np.where(better, p, chosen)
    return chosen


def big_o(sizes, times):
    """Return the exponent of big_O 0.11's best class, from the package itself; 0 for constant and logarithmic."""
    from big_o import complexities, infer_big_o_class

    exponents = {
        complexities.Constant: 0.0,
        complexities.Logarithmic: 0.0,
        complexities.Linear: 1.0,
        complexities.Linearithmic: 1.0,
        complexities.Quadratic: 2.0,
        complexities.Cubic: 3.0,
        complexities.Exponential: np.inf,
    }
    found = []
    for row in times:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            best, _ = infer_big_o_class(sizes, row)
        found.append(best.coeff[1] if isinstance(best, complexities.Polynomial) else exponents[type(best)])
    return np.array(found)


def _smape(predicted, actual):
    total = np.abs(predicted) + np.abs(actual)
    return (2.0 * np.abs(predicted - actual) / np.where(total > 0, total, 1.0)).mean(axis=1)
