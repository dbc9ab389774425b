"""Predictive densities of scores left out, from fits without them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from numpyro import handlers

from scalebayes.evaluation.bridge import effective_draws, log_evidence
from scalebayes.evaluation.cross_validation import cross_validate
from scalebayes.evaluation.pieces import MAX_MCSE, Pieces
from scalebayes.inference.compilation import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd

    from scalebayes.data.folds import Fold
    from scalebayes.data.observations import Observations
    from scalebayes.evaluation.predictions import HeldOut
    from scalebayes.inference.posterior import Fit
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law

    Refit = Callable[[Sequence[Fold], np.ndarray | None], HeldOut]


def refitter(
    fit: Fit,
    observations: Observations,
    folder: str | Path | None,
    jobs: int,
    progress: Callable[[int, int], None] | None,
) -> Refit:
    """Function that fits the law of a fit again, with its seed and settings, once for each of some folds.

    It takes the folds, and the joint log density of their scores at the draws of the fit to all scores,
    shape (chain, draw, fold), by default `densities`. It returns predictions by the refits; for laws without
    losses their joint densities come from both fits, see `with_both`.

    Args:
        fit: The fit.
        observations: The data to fit, without what the fit holds out.
        folder: As in `cross_validate`, as are `jobs` and `progress`.
        jobs: See there.
        progress: See there.
    """
    bridged = not has_losses(fit)

    def again(folds: Sequence[Fold], log_density: np.ndarray | None = None) -> HeldOut:
        held = cross_validate(
            fit.law, observations, folds, folder=folder, jobs=jobs, progress=progress,
            seed=fit.seed, sampler=fit.sampler, reference=fit.reference if bridged else None,
        )  # fmt: skip
        if not bridged:
            return held
        return with_both(held, densities(fit, folds) if log_density is None else log_density)

    return again


def by_refits(folds: Sequence[Fold], labels: pd.DataFrame, again: Refit) -> Pieces:
    """Pieces of a law from refits without each fold."""
    held = again(folds, None)
    density, mcse = held.folds[["log_score", "log_score_se"]].to_numpy().T
    no_k = np.full(len(folds), np.nan)
    return Pieces(labels, density, mcse, no_k, mcse > MAX_MCSE, np.nan, held)


def has_losses(fit: Fit) -> bool:
    """Whether the law has been fitted to losses."""
    return "loss" in fit.tree["log_likelihood"]


def with_both(held: HeldOut, log_density: np.ndarray) -> HeldOut:
    """Predictions by refits, with joint densities by bridge sampling between refits and the full fit.

    Both are fits of one model: the refits take the reference of the full fit. Its centring constants are medians of
    all data, and a lowered floor of a benchmark comes from its lowest score; nothing else of what is left out is used.

    Args:
        held: Predictions of folds by refits of a law without losses.
        log_density: Joint log density of each fold's scores at the draws of the fit to all scores, as from
            `densities`, shape (chain, draw, fold).
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
