"""Rows of a column of scores on another scale than the rest.

The model by which they are found is that of `scale_curves`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from scalebayes.data.scale_curves import (
    Curve,
    fit_curve,
    raw_scores,
    regressors,
    responsibility,
)

MAX_ROWS = 400
"""Largest number of rows that a curve is fitted to; of more, a random part is taken."""
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
COMMON_LEVELS = (0.1, 0.2, 0.25, 1 / 3, 0.5)
"""Chance levels that are tried where none is stated."""
UNSTATED_GAIN, MIN_UNSTATED_SHARE = 20.0, 0.1
"""Smallest log-likelihood and share of rows on either scale where the chance level is not stated."""
MAX_RAW_BELOW, MIN_NORMALISED_BELOW = 0.03, 0.25
"""Largest share of raw and smallest of normalised scores below a chance level that is not stated."""
MIN_OVERLAP = 0.1
"""Smallest probability that a model with a normalised score is weaker, and stronger, than one with a raw one."""
LARGEST_HUNDREDTH = 0.01
"""Largest score that can be a fraction divided by 100."""
MIN_DISTANCE = 4.0
"""Smallest distance from the curve, in residual scales, of a row that was divided by 100."""


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
                (m for x in _relations(raw, chance, sizes, j) if (m := _mixture(y, level, *x))),
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
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the regressors of a column: of all other columns, and of those that stay the same."""
    others = np.arange(raw.shape[1]) != j
    yield regressors(np.column_stack([raw[:, others], sizes]))
    if (chance[others] > 0).any():
        yield regressors(np.column_stack([raw[:, others & (chance == 0)], sizes]))


def unstated_mixtures(
    scores: np.ndarray, chance: np.ndarray, sizes: np.ndarray
) -> list[tuple[float, Mixture]]:
    """Return chance level and mixture of the columns without a stated level that look mixed at a common one.

    More is asked of them than of columns with a chance level: two clusters of models of similar strength, of
    which one stays above the level and the other falls below it.

    Args:
        scores: Scores in [0, 1], NaN where missing, shape (n_model, n_benchmark).
        chance: Chance levels, NaN where unknown, shape (n_benchmark,).
        sizes: Further columns that order the models, shape (n_model, n_size).
    """
    found = []
    for j in np.flatnonzero(np.isnan(chance)).tolist():
        y, columns = scores[:, j], np.column_stack([np.delete(scores, j, 1), sizes])
        relation = regressors(columns)
        levels = [level for level in COMMON_LEVELS if _both_sides(y, level)]
        tried = [(level, m) for level in levels if (m := _mixture(y, level, *relation))]
        level, best = max(tried, key=lambda pair: pair[1].gain, default=(0.0, None))
        if best is None or not best.clear or best.gain < UNSTATED_GAIN:
            continue
        seen = np.isfinite(y)
        if _agrees_with_level(y[seen], level, best.normalised[seen], relation[0][seen, 1]):
            found.append((level, replace(best, column=j)))
    return found


def _both_sides(y: np.ndarray, level: float) -> bool:
    """Whether enough scores are on either side of a level for two groups that agree with it."""
    seen = y[np.isfinite(y)]
    below = np.mean(seen < level) if len(seen) else 0.0
    return bool(MIN_UNSTATED_SHARE * MIN_NORMALISED_BELOW <= below <= 1 - MIN_UNSTATED_SHARE / 2)


def _agrees_with_level(
    y: np.ndarray, level: float, normalised: np.ndarray, strength: np.ndarray
) -> bool:
    share, raw = normalised.mean(), ~normalised
    if not MIN_UNSTATED_SHARE <= share <= 1 - MIN_UNSTATED_SHARE:
        return False
    ranks = pd.Series(strength).rank().to_numpy()
    wins = ranks[normalised].sum() - normalised.sum() * (normalised.sum() + 1) / 2
    stronger = wins / (normalised.sum() * raw.sum())
    return bool(
        np.mean(y[raw] < level - 0.02) <= MAX_RAW_BELOW
        and np.mean(y[normalised] < level) >= MIN_NORMALISED_BELOW
        and MIN_OVERLAP <= stronger <= 1 - MIN_OVERLAP
    )


def _mixture(y: np.ndarray, chance: float, x: np.ndarray, known: np.ndarray) -> Mixture | None:
    """Return the mixture of a column, if two scales explain it much better than one."""
    rows = np.flatnonzero(known & np.isfinite(y))
    if len(rows) < MIN_ROWS:
        return None
    used = rows
    if len(rows) > MAX_ROWS:
        used = np.random.default_rng(0).choice(rows, MAX_ROWS, replace=False)
    one, two = _curves(y[used], chance, x[used])
    gain = two.log_likelihood - one.log_likelihood
    if gain < DOUBTFUL_GAIN:
        return None
    prob = np.zeros(len(y))
    prob[rows] = responsibility(two, y[rows], chance, x[rows])[0]
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
    one = fit_curve(y, chance, x, np.zeros(len(y)))
    residual = y - x @ one.slopes
    between = raw_scores(y, chance) - y
    if (
        np.mean(np.abs(residual) > 0.3 * between) < MIN_NORMALISED
    ):  # all rows are close to one curve
        return one, one
    starts = [residual < k * one.scale for k in (-1, 0, 1)] + [y < chance]
    fits = [fit_curve(y, chance, x, s.astype(float)) for s in starts if 0 < s.sum() < len(y)]
    return one, max(fits, key=lambda fit: fit.log_likelihood, default=one)


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
    x, known = regressors(columns)
    rest = known & ~small & np.isfinite(y)
    if rest.sum() < MIN_ROWS:
        return np.zeros(len(y), dtype=bool)
    curve = fit_curve(y[rest], 0.0, x[rest], np.zeros(int(rest.sum())))
    mean = x @ curve.slopes
    far = mean - y > MIN_DISTANCE * curve.scale
    found = known & small & far & (np.abs(100 * y - mean) < MIN_DISTANCE * curve.scale)
    # a few models of such scores failed to answer in the expected form
    return found if _enough(found[known], MIN_RAW) else np.zeros(len(y), dtype=bool)
