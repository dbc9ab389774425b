"""Posterior contraction: posterior against prior covariance, of single parameters and of combinations.

With variances over draws, of a single parameter

    contraction = 1 - var(posterior) / var(prior)

In a normal model with known noise it is the share of the data in the posterior precision. A parameter may be
uncertain because the data identify only a combination of several. With covariances C over draws,

    C_posterior v = lambda C_prior v

has as many solutions as there are parameters: combinations v that are uncorrelated under prior and posterior
alike, each with contraction 1 - lambda. A change of a combination moves the parameters along the direction
C_prior v.

References:
    Towards a principled Bayesian workflow (posterior contraction),
    https://betanalpha.github.io/assets/case_studies/principled_bayesian_workflow.html
    Optimal low-rank approximations of Bayesian linear inverse problems (directions),
    https://arxiv.org/abs/1407.3463
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.linalg import eigh

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_CONTRACTION = 0.5
"""Contraction below which the prior is more informative than the data."""

MIN_CORRELATION = 0.7
"""Smallest correlation to report: one parameter explains half the variance of the other."""

MIN_RELATIVE_MOVE = 0.4
"""A direction is described by the parameters that move at least this much relative to the one that moves
most, in sds of their priors."""


def contraction(prior: np.ndarray, posterior: np.ndarray) -> np.ndarray:
    """1 - var(posterior) / var(prior), shape (parameter,).

    Args:
        prior: Draws, shape (draw, parameter).
        posterior: Draws, shape (draw, parameter).
    """
    return 1 - posterior.var(axis=0, ddof=1) / prior.var(axis=0, ddof=1)


def directions(
    prior: np.ndarray, posterior: np.ndarray, names: Sequence[str], block: str = ""
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Directions of largest and smallest contraction.

    Args:
        prior: Draws, shape (draw, parameter).
        posterior: Draws, shape (draw, parameter).
        names: Names of the parameters.
        block: Name of the block of parameters.

    Returns:
        A row of `Identifiability.directions`, and rows of its `weights`.

    Raises:
        ValueError: If there are too few draws for a covariance.
    """
    n, p = min(len(prior), len(posterior)), len(names)
    if n <= 2 * p:
        raise ValueError(
            f"expected more than {2 * p} draws for the covariance of {p} parameters, got {n}: fit "
            "with more draws"
        )
    sd = prior.std(axis=0, ddof=1)
    before, after = (np.atleast_2d(np.cov(v / sd, rowvar=False)) for v in (prior, posterior))
    left, v = eigh(after, before)  # from the most contracted to the least
    moves = before @ v
    alone = np.diag(after)
    # sample eigenvalues are spread out: if no direction is clearly worse, report the worst single parameter
    if left[-1] < (1 + 2 * np.sqrt(2 * p / n)) * alone.max():
        moves[:, -1] = np.arange(p) == alone.argmax()
    moves = moves / moves[np.abs(moves).argmax(axis=0), np.arange(p)]
    gained = np.clip(1 - left, 0.0, 1.0)
    row = {
        "block": block,
        "parameters": p,
        "effective_rank": int((left <= MIN_CONTRACTION).sum()),
        "effective_parameters": float(gained.sum()),
        "worst_contraction": 1 - float(left[-1]),
        "worst": _in_words(moves[:, -1], names),
        "best_contraction": 1 - float(left[0]),
        "best": _in_words(moves[:, 0], names),
    }
    weights = pd.DataFrame(
        {"block": block, "parameter": list(names), "worst": moves[:, -1], "best": moves[:, 0]}
    )
    return row, weights


def _in_words(moves: np.ndarray, names: Sequence[str], most: int = 4) -> str:
    order = np.argsort(-np.abs(moves), kind="stable")
    first, *others = [i for i in order if abs(moves[i]) >= MIN_RELATIVE_MOVE][:most]
    if not others:
        return f"{names[first]} alone"
    parts = [f"{names[i]} {'up' if moves[i] > 0 else 'down'}" for i in others]
    return f"{names[first]} up with {', '.join(parts)}"


def pairs(correlation: pd.DataFrame) -> pd.DataFrame:
    """Pairs of parameters that are strongly correlated, strongest first."""
    values, names = correlation.to_numpy(), correlation.columns
    one, other = np.triu_indices(len(names), 1)
    strong = np.abs(values[one, other]) > MIN_CORRELATION
    table = pd.DataFrame(
        {
            "one": names[one[strong]],
            "other": names[other[strong]],
            "correlation": values[one, other][strong],
        }
    )
    return table.sort_values("correlation", key=np.abs, ascending=False, ignore_index=True)
