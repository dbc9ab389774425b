"""Pieces: how well one law predicts each piece of evidence by which laws are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from scalebayes.evaluation.predictions import HeldOut

MAX_MCSE = 0.5
"""Monte Carlo error of a log density above which the density, and the error itself, is unreliable."""


@dataclass(frozen=True)
class Pieces:
    """Predictive densities of the scores of each fold under one law.

    Attributes:
        labels: One row a fold: fold, piece and n_scores.
        log_density: Log of the joint predictive density of its scores, shape (fold,).
        mcse: Monte Carlo standard error of `log_density`, shape (fold,).
        pareto_k: Pareto k of importance sampling, NaN where there was none, shape (fold,).
        unsure: Whether a density is unreliable, shape (fold,).
        p: How much lower the densities are than those of a fit to all scores; NaN where all folds are
            refitted.
        held: Predictions by refits; None where there are none.
    """

    labels: pd.DataFrame
    log_density: np.ndarray
    mcse: np.ndarray
    pareto_k: np.ndarray
    unsure: np.ndarray
    p: float
    held: HeldOut | None
