"""conformal_prob: the probability to ask intervals for, so that they would have held a share of held-out values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from scalebayes.evaluation.predictions import PLURAL

if TYPE_CHECKING:
    from scalebayes.evaluation.predictions import HeldOut


def conformal_prob(held: HeldOut, prob: float) -> float:
    """Probability of intervals that would have contained a given share of held-out values.

    Give it to `predict` as `prob`. It is a last resort, and a measure of calibration: it equals `prob` where
    predictions are calibrated. It assumes that the values to predict and the held-out ones are exchangeable.

    Args:
        held: Predictions, best from folds that leave the larger models out, and observed values.
        prob: Share of values that the intervals should contain.

    Returns:
        The smallest probability, below one, whose central intervals of the draws contain
        ceil((n + 1) prob) of n values.

    Raises:
        ValueError: If there are too few held-out values for so large a share, or too many lie outside the
            range of all draws, which no interval exceeds.

    References:
        Romano, Patterson and Candès, Conformalized quantile regression, 2019.
        https://arxiv.org/abs/1905.03222
    """
    away = np.sort(_needed(held))
    n, outside = len(away), int((away >= 1).sum())
    rank = math.ceil(round((n + 1) * prob, 9))  # 100 * 0.55 is a little more than 55
    if not 0 < prob < 1 or rank > n:
        raise ValueError(
            f"{n} held-out {PLURAL[held.of]} cannot tell where a share of {prob} of them lies: hold out "
            "more, or ask for a smaller share"
        )
    if rank > n - outside:
        raise ValueError(
            f"a share of {outside / n:.3g} of the held-out {PLURAL[held.of]} ({outside} of {n}) lies outside all "
            f"{held.draws.shape[1]} draws, so that no interval of draws holds a share of {prob}: the "
            "predictions are too narrow or biased for this remedy; take another law, or a smaller share"
        )
    return float(away[rank - 1])


def _needed(held: HeldOut) -> np.ndarray:
    """Smallest probability of a central interval of the draws that contains each value, shape (cell,).

    It is one where the value lies outside all draws.
    """
    draws = np.sort(held.draws.astype(float), axis=1)
    observed = held.cells["observed"].to_numpy()
    tail = np.minimum(_level(draws, observed), _level(-draws[:, ::-1], -observed))
    return np.clip(1 - 2 * tail, 0, 1)


def _level(draws: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Level of the largest quantile of sorted draws that is at most a value; minus infinity if there is none.

    Args:
        draws: Shape (row, sample).
        value: Shape (row,).
    """
    last = draws.shape[1] - 1
    rows, below = np.arange(len(draws)), (draws <= value[:, None]).sum(axis=1) - 1
    at, after = draws[rows, below], draws[rows, np.minimum(below + 1, last)]
    between = (below >= 0) & (below < last)
    part = np.divide(value - at, after - at, out=np.zeros(len(draws)), where=between)
    return np.where(below < 0, -np.inf, (below + part) / max(last, 1))
