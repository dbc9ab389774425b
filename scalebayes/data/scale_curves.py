"""The relation of a column of scores to the models' other scores and sizes, on one scale or on two.

A score p is often published normalised by chance, y = (p - c) / (1 - c). If some rows of a column hold p and
others y, the column follows two curves. Each row has two readings of p: u = y, and v = c + (1 - c) y. The model
of a column is

    u_i = h(x_i) + s e_i   with probability 1 - w   (the row holds p)
    v_i = h(x_i) + s e_i   with probability w       (the row is normalised)

where e_i follows Student's t with 4 degrees of freedom, and h is a cubic in the model's mean normal rank plus a
ridge regression on its ranks in single columns. It is fitted by expectation and maximisation from several
starts, and compared with w = 0 by its log-likelihood. A column with a chance level of 0 is the same on both scales.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import gammaln, ndtri

DEGREES = 4.0
"""Degrees of freedom of the residuals."""
RIDGE = 2.0
"""Precision of the slopes on the ranks in single columns, in units of the residual variance."""
MIN_SCALE = 2e-3
"""Smallest residual scale; published scores are rounded."""
MAX_ITERATIONS, TOLERANCE = 40, 0.05
"""Of expectation and maximisation; the tolerance is one of the log-likelihood."""
LOG_T_AT_ZERO = float(
    gammaln((DEGREES + 1) / 2) - gammaln(DEGREES / 2) - 0.5 * math.log(DEGREES * math.pi)
)


class Curve(NamedTuple):
    """The fitted model of one column: slopes, residual scale s, share w, and its log-likelihood."""

    slopes: np.ndarray
    scale: float
    share: float
    log_likelihood: float


def raw_scores(normalised: np.ndarray, chance: float) -> np.ndarray:
    """Return p = c + (1 - c) y, the raw scores behind scores normalised by chance."""
    return chance + (1 - chance) * normalised


def fit_curve(y: np.ndarray, chance: float, x: np.ndarray, prob: np.ndarray) -> Curve:
    """Return the model fitted from a start, the probabilities of being normalised; w = 0 if all are 0."""
    v, mixed = raw_scores(y, chance), prob.any()
    penalty = np.diag(np.r_[1e-6, 1e-3, RIDGE / 2, RIDGE / 2, np.full(x.shape[1] - 4, RIDGE)])
    share = float(np.clip(prob.mean(), 0.02, 0.98)) if mixed else 0.0
    of_y, of_v = 1 - prob, prob
    curve, last = None, -np.inf
    for _ in range(MAX_ITERATIONS):
        gram = x.T @ ((of_y + of_v)[:, None] * x) + penalty
        slopes = np.linalg.solve(gram, x.T @ (of_y * y + of_v * v))
        mean = x @ slopes
        squares = of_y @ (y - mean) ** 2 + of_v @ (v - mean) ** 2
        scale = max(math.sqrt(squares / len(y)), MIN_SCALE)
        curve = Curve(slopes, scale, share, 0.0)
        prob, total = responsibility(curve, y, chance, x)
        curve = curve._replace(log_likelihood=total)
        if total - last < TOLERANCE:
            break
        last = total
        share = float((prob.sum() + 1) / (len(y) + 2)) if mixed else 0.0
        of_y = (1 - prob) * _weight((y - mean) / scale)
        of_v = prob * _weight((v - mean) / scale)
    assert curve is not None
    return curve


def _weight(z: np.ndarray) -> np.ndarray:
    """Return the expected precision of a residual of Student's t."""
    return (DEGREES + 1) / (DEGREES + z**2)


def responsibility(
    curve: Curve, y: np.ndarray, chance: float, x: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the probability that each row is normalised, and the log-likelihood."""

    def log_density(values: np.ndarray) -> np.ndarray:
        z = (values - mean) / curve.scale
        log_t = LOG_T_AT_ZERO - (DEGREES + 1) / 2 * np.log1p(z**2 / DEGREES)
        return np.asarray(log_t - math.log(curve.scale))

    mean = x @ curve.slopes
    of_raw = log_density(y)
    if curve.share == 0:
        return np.zeros(len(y)), float(of_raw.sum())
    of_raw = of_raw + math.log1p(-curve.share)
    jacobian = 1 - chance
    of_normalised = log_density(raw_scores(y, chance)) + math.log(curve.share * jacobian)
    total = np.logaddexp(of_raw, of_normalised)
    return np.exp(of_normalised - total), float(total.sum())


def regressors(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the regressors x, shape (n_model, 4 + n_column), and which models have any."""
    ranks = _normal_ranks(columns)
    seen = np.isfinite(ranks)
    known = seen.any(axis=1)
    mean = np.where(seen, ranks, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    a = mean / ((mean[known].std() if known.any() else 0.0) or 1.0)
    apart = np.where(seen, ranks - mean[:, None], 0.0)
    return np.column_stack([np.ones(len(a)), a, a**2 - 1, a**3 - 3 * a, apart]), known


def _normal_ranks(columns: np.ndarray) -> np.ndarray:
    """Return normal quantiles of the ranks in each column that is not constant."""
    frame = pd.DataFrame(columns)
    frame = frame.loc[:, frame.nunique() > 1]
    return np.asarray(ndtri((frame.rank() - 0.5) / frame.count()), dtype=float)
