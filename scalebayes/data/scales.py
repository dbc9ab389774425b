"""Rows of a column of scores on another scale than the rest, found from the models' other scores and sizes.

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
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
MAX_ROWS = 400
"""Largest number of rows that a curve is fitted to; of more, evenly spaced ones are taken."""
MIN_ROWS = 10
"""Smallest number of rows from which a relation to the other columns is estimated."""
MIN_GROUP, MIN_NORMALISED, MIN_RAW = 3, 0.03, 0.05
"""Smallest number of rows on either scale, smallest share of each; a few models far above a curve are common."""
CLEAR_GAIN, DOUBTFUL_GAIN = 10.0, 8.0
"""Log-likelihood by which two scales must exceed one to be clear, and to be worth a warning."""
MIN_SEPARATION = 2.5
"""Smallest median distance of the two readings of a row, in residual scales."""
RIVAL_LEVELS = (0.5, 0.7, 1.4, 2.0)
"""Multiples of the chance level that may not fit clearly better than the level itself."""
RIVAL_GAIN = 3.0
"""Log-likelihood by which another level fits clearly better."""
MAX_SWEEPS = 3
LARGEST_HUNDREDTH = 0.01
"""Largest score that can be a fraction divided by 100."""
MIN_DISTANCE = 4.0
"""Smallest distance from the curve, in residual scales, of a row that was divided by 100."""

LOG_T_AT_ZERO = float(
    gammaln((DEGREES + 1) / 2) - gammaln(DEGREES / 2) - 0.5 * math.log(DEGREES * math.pi)
)


@dataclass(frozen=True)
class Mixture:
    """A column whose rows are on two scales.

    Attributes:
        column: Position of the column.
        prob: Probability that each row is normalised by chance, shape (n_model,); 0 where unknown.
        gain: Log-likelihood of two scales less that of one.
        separation: Median distance of the two readings of a row, in residual scales.
        clear: Whether the evidence is strong, and no other level explains the distance as well.
    """

    column: int
    prob: np.ndarray
    gain: float
    separation: float
    clear: bool

    @property
    def normalised(self) -> np.ndarray:
        """Whether each row is read as normalised by chance, shape (n_model,)."""
        return np.asarray(self.prob > 0.5)


class Curve(NamedTuple):
    """The fitted model of one column: slopes, residual scale s, share w, and its log-likelihood."""

    slopes: np.ndarray
    scale: float
    share: float
    log_likelihood: float


def raw_scores(normalised: np.ndarray, chance: float) -> np.ndarray:
    """Return p = c + (1 - c) y, the raw scores behind scores normalised by chance."""
    return chance + (1 - chance) * normalised


def mixtures(scores: np.ndarray, chance: np.ndarray, sizes: np.ndarray) -> list[Mixture]:
    """Return the columns that hold raw scores in some rows and scores normalised by chance in others.

    Rows are often normalised in all columns at once. So the relation is sought to all other columns, and to
    those alone that no normalisation changes, and a column that is found is read as raw before the others are
    looked at again.

    Args:
        scores: Scores in [0, 1], NaN where missing, shape (n_model, n_benchmark).
        chance: Chance levels, NaN where unknown, shape (n_benchmark,). Columns whose level is unknown or zero
            are not looked at.
        sizes: Further columns that order the models, such as log parameters, shape (n_model, n_size).
    """
    raw = scores.copy()
    found: dict[int, Mixture] = {}
    for _ in range(MAX_SWEEPS):
        before = found
        found = {}
        for j in np.flatnonzero(chance > 0).tolist():
            y, level = scores[:, j], float(chance[j])
            best = max(
                (m for x in _relations(raw, chance, sizes, j) if (m := _mixture(y, level, x))),
                key=lambda mixture: (mixture.clear, mixture.gain),
                default=None,
            )
            raw[:, j] = y
            if best is not None:
                found[j] = replace(best, column=j)
                raw[:, j] = np.where(best.normalised, raw_scores(y, level), y)
        if _same_rows(before, found):
            break
    return [found[j] for j in sorted(found)]


def _same_rows(before: dict[int, Mixture], after: dict[int, Mixture]) -> bool:
    return before.keys() == after.keys() and all(
        np.array_equal(before[j].normalised, after[j].normalised) for j in after
    )


def _relations(
    raw: np.ndarray, chance: np.ndarray, sizes: np.ndarray, j: int
) -> Iterator[np.ndarray]:
    """Yield the columns that a score is related to: all others, and those that stay the same."""
    others = np.arange(raw.shape[1]) != j
    yield np.column_stack([raw[:, others], sizes])
    if (chance[others] > 0).any():
        yield np.column_stack([raw[:, others & (chance == 0)], sizes])


def _mixture(y: np.ndarray, chance: float, columns: np.ndarray) -> Mixture | None:
    """Return the mixture of a column, if two scales explain it much better than one."""
    x, known = _regressors(columns)
    rows = np.flatnonzero(known & np.isfinite(y))
    if len(rows) < MIN_ROWS:
        return None
    used = rows[np.linspace(0, len(rows) - 1, min(MAX_ROWS, len(rows))).astype(int)]
    one, two = _curves(y[used], chance, x[used])
    gain = two.log_likelihood - one.log_likelihood
    if gain < DOUBTFUL_GAIN:
        return None
    prob = np.zeros(len(y))
    prob[rows] = _responsibility(two, y[rows], chance, x[rows])[0]
    separation = float(np.median(raw_scores(y[used], chance) - y[used])) / two.scale
    normalised = prob[rows] > 0.5
    few = not (_enough(normalised, MIN_NORMALISED) and _enough(~normalised, MIN_RAW))
    if few or separation < MIN_SEPARATION:
        return None
    levels = [k * chance for k in RIVAL_LEVELS if k * chance < 1]
    rivals = [_curves(y[used], level, x[used])[1].log_likelihood for level in levels]
    clear = gain >= CLEAR_GAIN and max(rivals) - two.log_likelihood < RIVAL_GAIN
    return Mixture(0, prob, gain, separation, clear)


def _enough(rows: np.ndarray, share: float) -> bool:
    return bool(rows.sum() >= max(MIN_GROUP, share * len(rows)))


def _curves(y: np.ndarray, chance: float, x: np.ndarray) -> tuple[Curve, Curve]:
    """Return the best fits with one scale and with two; the same if no start can lead to two."""
    one = _fit(y, chance, x, np.zeros(len(y)))
    residual = y - x @ one.slopes
    between = raw_scores(y, chance) - y
    if (
        np.mean(np.abs(residual) > 0.3 * between) < MIN_NORMALISED
    ):  # all rows are close to one curve
        return one, one
    starts = [residual < k * one.scale for k in (-1, 0, 1)] + [y < chance]
    fits = [_fit(y, chance, x, s.astype(float)) for s in starts if 0 < s.sum() < len(y)]
    return one, max(fits, key=lambda fit: fit.log_likelihood, default=one)


def _fit(y: np.ndarray, chance: float, x: np.ndarray, prob: np.ndarray) -> Curve:
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
        prob, total = _responsibility(curve, y, chance, x)
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


def _responsibility(
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


def _regressors(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def hundredths(scores: np.ndarray, chance: np.ndarray, sizes: np.ndarray) -> dict[int, np.ndarray]:
    """Return column -> the rows whose scores fit the column only if they are multiplied by 100.

    Args:
        scores: Scores in [0, 1], NaN where missing, shape (n_model, n_benchmark).
        chance: Chance levels, NaN where unknown, shape (n_benchmark,).
        sizes: Further columns that order the models, shape (n_model, n_size).
    """
    found = {}
    for j, y in enumerate(scores.T):
        small = (y > 0) & (y <= LARGEST_HUNDREDTH)
        if small.sum() < 2 or not (y > LARGEST_HUNDREDTH).any():
            continue
        if chance[j] > 2 * LARGEST_HUNDREDTH:
            rows = small & (100 * y > 0.8 * chance[j])
        else:
            rows = _far_below(y, small, np.column_stack([np.delete(scores, j, 1), sizes]))
        if rows.sum() > 1:
            found[j] = rows
    return found


def _far_below(y: np.ndarray, small: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the rows far below the curve of those that are not small, and on it if multiplied by 100."""
    x, known = _regressors(columns)
    rest = known & ~small & np.isfinite(y)
    if rest.sum() < MIN_ROWS:
        return np.zeros(len(y), dtype=bool)
    curve = _fit(y[rest], 0.0, x[rest], np.zeros(int(rest.sum())))
    mean = x @ curve.slopes
    far = mean - y > MIN_DISTANCE * curve.scale
    found = known & small & far & (np.abs(100 * y - mean) < MIN_DISTANCE * curve.scale)
    # a few models of such scores failed to answer in the expected form
    return found if _enough(found[known], MIN_RAW) else np.zeros(len(y), dtype=bool)
