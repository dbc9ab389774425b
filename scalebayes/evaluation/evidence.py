"""What one law says of scores left out: from refits, from the fit itself, or from both together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pandas as pd
from numpyro import handlers
from scipy.special import logsumexp

from scalebayes.data.folds import (
    Fold,
    each_family,
    each_model,
    each_score,
    hidden,
    larger,
    whole_models,
)
from scalebayes.evaluation.bridge import effective_draws, log_evidence
from scalebayes.evaluation.cross_validation import cross_validate
from scalebayes.evaluation.moment_matching import ENOUGH, importance, matched
from scalebayes.inference.compilation import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from scalebayes.data.observations import Observations
    from scalebayes.evaluation.heldout import HeldOut
    from scalebayes.inference.posterior import Fit
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law

UNSURE = 0.5
"""Above this Monte Carlo error a joint density rests on a few draws, and its error is not known either."""


@dataclass(frozen=True)
class Pieces:
    """What one law says of each piece.

    Attributes:
        labels: One row a fold: fold, piece and n_scores.
        log_density: Log of the joint predictive density of its scores, shape (fold,).
        mcse: Monte Carlo standard error of that.
        pareto_k: Pareto k of importance sampling, NaN where there was none.
        unsure: Whether a density cannot be told from the draws there are.
        p: How much lower the densities are than with the folds seen; NaN where all are refitted.
        held: Predictions by refits.
    """

    labels: pd.DataFrame
    log_density: np.ndarray
    mcse: np.ndarray
    pareto_k: np.ndarray
    unsure: np.ndarray
    p: float
    held: HeldOut | None


def pieces(
    fit: Fit,
    by: str,
    keep: Sequence[int] = (1, 2),
    moment_match: bool = True,
    refit: bool = True,
    folder: str | Path | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Pieces:
    """The pieces of one law; for the arguments see `compare`."""
    observations = seen_alone(fit)

    def again(folds: Sequence[Fold]) -> HeldOut:
        return cross_validate(
            fit.law, observations, folds, folder=folder, jobs=jobs, progress=progress,
            seed=fit.seed, sampler=fit.sampler,
        )  # fmt: skip

    folds = folds_of(observations, by, keep)
    labels, none = _labels(folds, observations), np.full(len(folds), np.nan)
    checkpoints = observations.models["run"].duplicated().any()
    of_losses = "loss" in fit.tree["log_likelihood"]
    if by in ("larger", "family") or (by == "model" and (of_losses or checkpoints)):
        found = again(folds)
        if not of_losses:
            found = with_both(found, densities(fit, folds))
        density, mcse = found.folds[["log_score", "log_score_se"]].to_numpy().T
        return Pieces(labels, density, mcse, none, mcse > UNSURE, np.nan, found)
    if not fit.sampler.joint:
        raise ValueError(
            "a fit in stages has no posterior to leave single scores out of: compare by larger, family "
            "or model"
        )
    log_lik = (
        fit.tree["log_likelihood"]["score"].to_numpy() if by == "score" else densities(fit, folds)
    )
    flat = log_lik.reshape(-1, len(folds))
    n = len(flat)
    reff = effective_draws(log_lik) / n
    told = np.array([importance(*own) for own in zip(flat.T, reff, strict=True)])
    density, pareto_k, mcse = told.T  # views
    unsure = pareto_k > min(1 - 1 / np.log10(n), 0.7)
    if moment_match and unsure.any():
        move = np.flatnonzero(unsure)
        where = {name: i for i, name in enumerate(fit.design.labels("model"))}
        at = [i if by == "score" else where[str(folds[i].hold_out[0])] for i in move]
        told[move] = matched(fit, by, np.array(at), flat[:, move], reff[move])
        unsure[move] = pareto_k[move] > ENOUGH  # the least of several, which is less than its own
    held = None
    if refit and unsure.any():
        held = again([folds[i] for i in np.flatnonzero(unsure)])
        held = held if of_losses else with_both(held, log_lik[..., unsure])
        density[unsure], mcse[unsure] = held.folds[["log_score", "log_score_se"]].to_numpy().T
        unsure = unsure & (mcse > UNSURE)
    p = float((logsumexp(flat, axis=0) - np.log(n) - density).sum())
    return Pieces(labels, density, mcse, pareto_k, unsure, p, held)


def folds_of(observations: Observations, by: str, keep: Sequence[int]) -> list[Fold]:
    """What is left out at a time; for the other arguments see `compare`."""
    if by == "larger":
        return larger(observations, keep)
    return {"family": each_family, "model": each_model, "score": each_score}[by](observations)


def _labels(folds: Sequence[Fold], observations: Observations) -> pd.DataFrame:
    """One row a fold: its name, the piece of evidence it belongs to, and how many scores it hides."""
    return pd.DataFrame(
        {
            "fold": [fold.name for fold in folds],
            "piece": [fold.piece or fold.name for fold in folds],
            "n_scores": [int(hidden(observations.scores, f.hold_out).sum()) for f in folds],
        }
    )


def with_both(held: HeldOut, log_density: np.ndarray) -> HeldOut:
    """Predictions by refits, whose joint densities come from the refits and the fit to all scores together.

    Where the constants from which inputs and abilities are measured differ, as a fold hides what they are
    medians of, priors are shifted by a small part of their width, which is left out of account.

    Args:
        held: Predictions of folds by refits of a law without losses.
        log_density: Joint log density of each fold's scores at the draws of the fit to all scores, as
            `densities` gives it, shape (chain, draw, fold).
    """
    after = log_density.reshape(-1, len(held.folds)).T
    counts = zip(held.folds["joint_ess"], effective_draws(log_density), strict=True)
    found = [log_evidence(*own) for own in zip(held.joint, after, counts, strict=True)]
    log_score, error = np.array(found).T
    return replace(held, folds=held.folds.assign(log_score=log_score, log_score_se=error))


def densities(fit: Fit, folds: Sequence[Fold]) -> np.ndarray:
    """Joint log density of the scores of each fold's models at each draw, shape (chain, draw, fold)."""
    joint = joint_of_models(fit)
    at = {name: i for i, name in enumerate(fit.design.labels("model"))}
    own = [[at[str(model)] for model in fold.hold_out] for fold in folds]
    return np.stack([joint[..., models].sum(-1) for models in own], axis=-1)


def seen_alone(fit: Fit) -> Observations:
    """The observations of a fit without what it holds out."""
    own = fit.observations
    models = whole_models(fit.held_out)
    own = own.without(models=models) if models else own
    kept = own.scores[~hidden(own.scores, fit.held_out)]
    return own.with_tables(scores=kept)


def joint_of_models(fit: Fit) -> np.ndarray:
    """Joint log density of each model's scores at each draw, shape (chain, draw, model)."""
    run = _of_models(fit.law)
    sizes = fit.tree["posterior"].sizes
    with jax.enable_x64(fit.x64):
        return np.asarray(run(fit.draws(), fit.design)).reshape(sizes["chain"], sizes["draw"], -1)


@compiled(1)
def _of_models(law: Law) -> Callable[..., Any]:
    """Compiled: draws and a design to the joint log density of each model's scores."""

    def one(values: dict[str, Any], design: Design) -> Any:
        model = handlers.substitute(handlers.seed(law, 0), values)
        site = handlers.trace(model).get_trace(design)["score"]
        return site["fn"].of_models(design.score)

    return one
