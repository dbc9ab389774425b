"""Posterior covariance against prior covariance: what the data have contracted, alone and in combination.

With variances over draws, of a single parameter

    contraction = 1 - var(posterior) / var(prior)

In a normal model with known noise it is the data's part of the posterior's precision. A parameter may be
uncertain because only a combination of several is known. With covariances C over draws,

    C_posterior v = lambda C_prior v

has as many solutions as there are parameters: combinations v that are uncorrelated under prior and posterior
alike, each with contraction 1 - lambda. Along the direction C_prior v the parameters move as their
combination changes.

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

HALF = 0.5
"""Contraction below which the prior tells more than the data."""

CORRELATED = 0.7
"""Correlation from which on half the variance of one parameter is that of another."""

NAMED = 0.4
"""Parameters that move by so much of the one that moves most, in sds of their priors, name a direction."""


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
    """Directions in which the data have contracted the prior most and least.

    Args:
        prior: Draws, shape (draw, parameter).
        posterior: Draws, shape (draw, parameter).
        names: Names of the parameters.
        block: What they are parameters of.

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
    # eigenvalues of sampled covariances are spread: of directions as bad, name a single parameter
    if left[-1] < (1 + 2 * np.sqrt(2 * p / n)) * alone.max():
        moves[:, -1] = np.arange(p) == alone.argmax()
    moves = moves / moves[np.abs(moves).argmax(axis=0), np.arange(p)]
    gained = np.clip(1 - left, 0.0, 1.0)
    row = {
        "block": block,
        "parameters": p,
        "effective_rank": int((left <= HALF).sum()),
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
    first, *others = [i for i in order if abs(moves[i]) >= NAMED][:most]
    if not others:
        return f"{names[first]} alone"
    parts = [f"{names[i]} {'up' if moves[i] > 0 else 'down'}" for i in others]
    return f"{names[first]} up with {', '.join(parts)}"


def pairs(correlation: pd.DataFrame) -> pd.DataFrame:
    """Pairs of parameters that are strongly correlated, strongest first."""
    values, names = correlation.to_numpy(), correlation.columns
    one, other = np.triu_indices(len(names), 1)
    strong = np.abs(values[one, other]) > CORRELATED
    table = pd.DataFrame(
        {
            "one": names[one[strong]],
            "other": names[other[strong]],
            "correlation": values[one, other][strong],
        }
    )
    return table.sort_values("correlation", key=np.abs, ascending=False, ignore_index=True)
