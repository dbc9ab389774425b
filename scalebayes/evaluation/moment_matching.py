"""Moment matching: move the draws where plain importance sampling of data left out is unreliable.

Importance sampling fails for a score without which the posterior would look different: a few draws then
have all the weight. Here the draws of the parameters of that score are shifted and scaled to the mean and
variance that the weights give them. That costs evaluations of the density in place of a new fit.

References:
    Paananen, Piironen, Bürkner and Vehtari, Implicitly adaptive importance sampling, 2021.
    https://doi.org/10.1007/s11222-020-09982-2
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from numpyro import handlers
from numpyro.infer.util import constrain_fn, potential_energy, unconstrain_fn

from scalebayes.evaluation.importance_sampling import LeftOut, smoothed, weighted
from scalebayes.inference.compilation import compiled
from scalebayes.inference.sampling import site_shapes

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalebayes.inference.posterior import Fit
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law

MAX_PARETO_K_MOVED = 0.5
"""Pareto k above which densities from moved draws are unreliable: below it weights have a finite variance.

Draws are moved until k is below it.
"""

MAX_MOVES = 10
"""How many times the draws are moved at most for one score or model."""


def matched(
    fit: Fit,
    by: str,
    pieces: np.ndarray,
    log_lik: np.ndarray,
    reff: np.ndarray,
) -> list[LeftOut]:
    """Log predictive densities of left-out scores, or models, from draws moved for each of them.

    Args:
        fit: A fit to all data at once: the draws of a fit in stages have no joint density.
        by: What is left out: `score`, one score given the other scores of its model, or `model`, all scores
            of a model.
        pieces: Positions of the scores among those that the fit has seen, or of the models.
        log_lik: Log likelihood of each of them at each draw, shape (sample, piece).
        reff: Effective sample size of the draws divided by their number, shape (piece,).
    """
    flat, density = _flattener(fit.law), _density(fit.law, by)
    rows = np.flatnonzero(fit.design.observed) if by == "score" else np.arange(len(fit.design.run))
    with jax.enable_x64(fit.x64):
        z = np.asarray(flat(fit.draws(), fit.design))
        log_prob = np.asarray(density(z, 0, fit.design)[0])

        def one(at: int, own: np.ndarray, reff: float) -> LeftOut:
            moving = _about(fit.law, fit.design, by, at)
            return left_out(lambda z: density(z, at, fit.design), z, moving, log_prob, own, reff)

        return [one(int(at), *own) for at, *own in zip(rows[pieces], log_lik.T, reff, strict=True)]


def left_out(
    density: Callable[[np.ndarray], tuple[Any, Any]],
    z: np.ndarray,
    moving: np.ndarray,
    log_prob: np.ndarray,
    log_lik: np.ndarray,
    reff: float,
) -> LeftOut:
    """Log predictive density of data left out, from draws moved for them.

    An affine map T moves every second draw. All draws are then a sample of the mixture of the posterior p
    and its image under T, q(x) = p(x) / 2 + p(T^-1 x) / (2 |T|), with weights p(x) / q(x) divided by the
    likelihood of the data left out. T maps the mean, or the mean and variance, of the posterior draws to
    those under the weights. This is repeated as long as Pareto k falls.

    Args:
        density: Function of parameters, shape (draw, parameter), that returns the log posterior density, up
            to a constant, and the log likelihood of the data left out, shape (draw,) each.
        z: Posterior draws of all parameters on the unconstrained scale, shape (draw, parameter).
        moving: Positions of the parameters that move.
        log_prob: Log posterior density at the draws, shape (draw,).
        log_lik: Log likelihood of the data left out at the draws, shape (draw,).
        reff: Effective sample size of the draws divided by their number.
    """
    draws, moves = z[:, moving], np.arange(len(z)) % 2 == 0
    mean, sd = draws.mean(axis=0), draws.std(axis=0)
    points, lik_there = draws, log_lik
    log_weight, pareto_k = smoothed(-log_lik, reff)
    for _ in range(MAX_MOVES):
        if pareto_k < MAX_PARETO_K_MOVED:
            break
        weight = np.exp(log_weight)
        target = weight @ points
        spread = np.sqrt(weight @ (points - target) ** 2)
        for scale in (np.ones_like(sd), spread / sd):
            # T of the draws that move; T^-1 of the others, for their density under the image
            new = z.copy()
            there, back = target + scale * (draws - mean), mean + (draws - target) / scale
            new[:, moving] = np.where(moves[:, None], there, back)
            log_p, lik = (np.asarray(v) for v in density(new))
            finite = np.isfinite(log_p) & np.isfinite(lik)
            log_p = np.where(finite, log_p, -np.inf)
            lik = np.where(moves & finite, lik, log_lik)
            p = np.where(moves, log_p, log_prob)
            p_moved = np.where(moves, log_prob, log_p) - np.log(scale).sum()
            new_weight, new_k = smoothed(p - np.logaddexp(p, p_moved) - lik, reff)
            if new_k < pareto_k:
                points = np.where(moves[:, None], there, draws)
                log_weight, pareto_k, lik_there = new_weight, new_k, lik
                break
        else:
            break
    return weighted(log_weight, pareto_k, lik_there, reff)


def _about(law: Law, design: Design, by: str, at: int) -> np.ndarray:
    """Positions, among all unconstrained parameters, of those that belong to a score or to a model.

    All parameters, if none belongs to it: a law without family effects has few parameters.
    """
    model = int(design.score_model[at]) if by == "score" else at
    family = int(design.family[model])
    labels: dict[str, Any] = {
        "model": [model],
        "run": [int(design.run[model])],
        "family": [family],
        "lineage": [int(design.lineage[family])],
        "model_without_tokens": np.flatnonzero(np.asarray(design.unknown_tokens) == model),
    }
    if by == "score":
        labels["benchmark"] = [int(design.score_benchmark[at])]
    start, found = 0, []
    for name, shape in sorted(site_shapes(law, design).items()):
        positions = start + np.arange(int(np.prod(shape))).reshape(shape)
        start += positions.size
        if labels.keys() & law.dims[name]:
            for axis, dim in enumerate(law.dims[name]):
                if dim in labels:
                    positions = positions.take(labels[dim], axis)
            found.append(positions.ravel())
    return np.concatenate(found).astype(int) if found else np.arange(start)


@compiled(1)
def _flattener(law: Law) -> Callable[..., Any]:
    """Compiled function from draws to unconstrained vectors."""

    def flat(values: dict[str, Any], design: Design) -> Any:
        return ravel_pytree(unconstrain_fn(law, (design,), {}, values))[0]

    return flat


@compiled(1)
def _density(law: Law, by: str) -> Callable[..., Any]:
    """Compiled function from unconstrained vectors to log densities.

    They are that of the posterior, up to a constant, and that of one score or model.
    """

    def density(z: Any, at: Any, design: Design) -> tuple[Any, Any]:
        zeros = {k: np.zeros(shape, z.dtype) for k, shape in site_shapes(law, design).items()}
        values = ravel_pytree(zeros)[1](z)
        log_prob = -potential_energy(law, (design,), {}, values)
        model = handlers.substitute(handlers.seed(law, 0), constrain_fn(law, (design,), {}, values))
        score = handlers.trace(model).get_trace(design)["score"]
        of = score["fn"].pointwise if by == "score" else score["fn"].of_models
        return log_prob, of(score["value"])[at]

    return density
