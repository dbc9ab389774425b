"""Leave one score, or one model, out of a single fit; fit again only where that is unreliable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from scalebayes.evaluation.bridge import effective_draws
from scalebayes.evaluation.importance_sampling import importance, max_pareto_k
from scalebayes.evaluation.moment_matching import MAX_PARETO_K_MOVED, matched
from scalebayes.evaluation.pieces import MAX_MCSE, Pieces
from scalebayes.evaluation.refits import densities

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from scalebayes.data.folds import Fold
    from scalebayes.evaluation.refits import Refit
    from scalebayes.inference.posterior import Fit


def by_importance(
    fit: Fit,
    by: str,
    folds: Sequence[Fold],
    labels: pd.DataFrame,
    moment_match: bool,
    again: Refit | None,
) -> Pieces:
    """Pieces of a law by importance sampling from the fit to all scores.

    Where Pareto k is too large, moment matching moves the draws; where k is still too large, the law is
    fitted again.

    Args:
        fit: The fit.
        by: What each fold leaves out: `score` or `model`.
        folds: All scores that the fit has seen, one at a time, or all its models with scores.
        labels: As in `Pieces`.
        moment_match: Whether to move draws.
        again: What fits again, see `refits.refitter`; None for no refits.

    Raises:
        ValueError: If the fit was made in stages.
    """
    if not fit.sampler.joint:
        raise ValueError(
            "a fit in stages has no posterior to leave single scores out of: compare by larger, family "
            "or model"
        )
    log_lik = _log_likelihood(fit, by, folds)
    flat = log_lik.reshape(-1, len(folds))
    n = len(flat)
    reff = effective_draws(log_lik) / n
    found = np.array([importance(*own) for own in zip(flat.T, reff, strict=True)])
    density, pareto_k, mcse = found.T  # views
    unsure = pareto_k > max_pareto_k(n)
    if moment_match and unsure.any():
        moved = np.flatnonzero(unsure)
        at = _positions(fit, by, folds)[moved]
        found[moved] = matched(fit, by, at, flat[:, moved], reff[moved])
        # stricter than above: k is the smallest of several tries, and so too small
        unsure[moved] = pareto_k[moved] > MAX_PARETO_K_MOVED
    held = None
    if again and unsure.any():
        left = [fold for fold, own in zip(folds, unsure, strict=True) if own]
        held = again(left, log_lik[..., unsure])
        density[unsure], mcse[unsure] = held.folds[["log_score", "log_score_se"]].to_numpy().T
        unsure = unsure & (mcse > MAX_MCSE)
    p = float((logsumexp(flat, axis=0) - np.log(n) - density).sum())
    return Pieces(labels, density, mcse, pareto_k, unsure, p, held)


def _log_likelihood(fit: Fit, by: str, folds: Sequence[Fold]) -> np.ndarray:
    """Log likelihood of what each fold leaves out at each draw, shape (chain, draw, fold).

    That of a score is given the other scores of its model.
    """
    if by == "score":
        return fit.tree["log_likelihood"]["score"].to_numpy()
    return densities(fit, folds)


def _positions(fit: Fit, by: str, folds: Sequence[Fold]) -> np.ndarray:
    """Position of each fold's score among those that the fit has seen, or of its model, shape (fold,)."""
    if by == "score":
        return np.arange(len(folds))
    where = {name: i for i, name in enumerate(fit.design.labels("model"))}
    return np.array([where[str(fold.hold_out[0])] for fold in folds])
