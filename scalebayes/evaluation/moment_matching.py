"""Leave-one-out from one fit: importance sampling, and moment matching where draws have to move for it.

Importance sampling fails for a score that the posterior would look different without: few draws then
carry all the weight. Here the draws of the parameters that the score is about are shifted,
and scaled, to the mean and variance that the weights give them, which costs an evaluation of the density
in place of a new fit.

References:
    Vehtari, Simpson, Gelman, Yao and Gabry, Pareto smoothed importance sampling, 2024.
    https://jmlr.org/papers/v25/19-556.html
    Paananen, Piironen, Bürkner and Vehtari, Implicitly adaptive importance sampling, 2021.
    https://doi.org/10.1007/s11222-020-09982-2
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
from arviz_stats.base import array_stats
from jax.flatten_util import ravel_pytree
from numpyro import handlers
from numpyro.infer.util import constrain_fn, potential_energy, unconstrain_fn
from scipy.special import logsumexp

from scalebayes.inference.compilation import compiled
from scalebayes.inference.sampling import site_shapes

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalebayes.inference.posterior import Fit
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law

ENOUGH = 0.5
"""Below this Pareto k weights have a finite variance, and draws are moved no further; others are not believed."""

MOVES = 10
"""Draws of one piece are moved at most so many times."""


class LeftOut(NamedTuple):
    """Log predictive density of data left out, Pareto k of the weights behind it, Monte Carlo error."""

    log_density: float
    pareto_k: float
    mcse: float


def importance(log_lik: np.ndarray, reff: float) -> LeftOut:
    """Log predictive density of data left out, by Pareto-smoothed importance sampling.

    Args:
        log_lik: Log likelihood of what is left out at the posterior draws, shape (draw,).
        reff: Share of the draws that are effective.
    """
    if np.ptp(log_lik) < 1e-12:  # the same at every draw
        return LeftOut(float(log_lik[0]), -np.inf, 0.0)
    return _told(*_smoothed(-log_lik, reff), log_lik, reff)


def matched(
    fit: Fit,
    by: str,
    pieces: np.ndarray,
    log_lik: np.ndarray,
    reff: np.ndarray,
) -> list[LeftOut]:
    """Log predictive densities of left-out scores, or models, from draws moved for each of them.

    Args:
        fit: The fit, to all data at once: a fit in stages has no density of its draws.
        by: What a piece is: `score`, one given its model's others, or `model`, all scores of one.
        pieces: Positions of the scores among those that the fit has seen, or of the models.
        log_lik: Log likelihood of each piece at each draw, shape (sample, piece).
        reff: Share of the draws that are effective, shape (piece,).
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
    """Log predictive density of data left out, from draws moved for it.

    Every second draw is moved by an affine map T. All are then draws of the mixture of the posterior p
    and of p moved, q(x) = p(x) / 2 + p(T^-1 x) / (2 |T|), and each has the weight p(x) / q(x) over the
    likelihood of what is left out. T takes the mean, or mean and variance, of the posterior draws to
    those under the weights, again and again as long as Pareto k falls.

    Args:
        density: From parameters, shape (draw, parameter), to the log density of the posterior, up to a
            constant, and the log likelihood of what is left out, shape (draw,) each.
        z: Posterior draws of all parameters on a scale without bounds, shape (draw, parameter).
        moving: Positions of the parameters that move.
        log_prob: Log density of the posterior at the draws.
        log_lik: Log likelihood of what is left out at the draws.
        reff: Share of the draws that are effective.
    """
    draws, moves = z[:, moving], np.arange(len(z)) % 2 == 0
    mean, sd = draws.mean(axis=0), draws.std(axis=0)
    points, lik_there = draws, log_lik
    log_weight, pareto_k = _smoothed(-log_lik, reff)
    for _ in range(MOVES):
        if pareto_k < ENOUGH:
            break
        weight = np.exp(log_weight)
        target = weight @ points
        spread = np.sqrt(weight @ (points - target) ** 2)
        for scale in (np.ones_like(sd), spread / sd):
            # T of the draws that move; of the others T^-1, which tells their density after T
            new = z.copy()
            there, back = target + scale * (draws - mean), mean + (draws - target) / scale
            new[:, moving] = np.where(moves[:, None], there, back)
            log_p, lik = (np.asarray(v) for v in density(new))
            finite = np.isfinite(log_p) & np.isfinite(lik)
            log_p = np.where(finite, log_p, -np.inf)
            lik = np.where(moves & finite, lik, log_lik)
            p = np.where(moves, log_p, log_prob)
            p_moved = np.where(moves, log_prob, log_p) - np.log(scale).sum()
            new_weight, new_k = _smoothed(p - np.logaddexp(p, p_moved) - lik, reff)
            if new_k < pareto_k:
                points = np.where(moves[:, None], there, draws)
                log_weight, pareto_k, lik_there = new_weight, new_k, lik
                break
        else:
            break
    return _told(log_weight, pareto_k, lik_there, reff)


def _told(log_weight: np.ndarray, pareto_k: float, log_lik: np.ndarray, reff: float) -> LeftOut:
    """What weights that sum to one, and log likelihoods, say of what is left out."""
    log_density = logsumexp(log_weight + log_lik)
    away = np.exp(log_weight) * np.expm1(log_lik - log_density)
    return LeftOut(float(log_density), pareto_k, float(np.sqrt(away @ away / reff)))


def _smoothed(log_ratio: np.ndarray, reff: float) -> tuple[np.ndarray, float]:
    """Pareto-smoothed log weights that sum to one, and their Pareto k."""
    log_weight, pareto_k = array_stats.psislw(-log_ratio, r_eff=reff)
    return log_weight - logsumexp(log_weight), float(pareto_k)


def _about(law: Law, design: Design, by: str, at: int) -> np.ndarray:
    """Positions, among all unconstrained parameters, of those with labels of a score or of a model.

    All, where there are none: a law without effects of families has few parameters.
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
    """Compiled: draws to one unconstrained vector each."""

    def flat(values: dict[str, Any], design: Design) -> Any:
        return ravel_pytree(unconstrain_fn(law, (design,), {}, values))[0]

    return flat


@compiled(1)
def _density(law: Law, by: str) -> Callable[..., Any]:
    """Compiled: unconstrained vectors to the posterior's density, up to a constant, and that of one score or model."""

    def density(z: Any, at: Any, design: Design) -> tuple[Any, Any]:
        zeros = {k: np.zeros(shape, z.dtype) for k, shape in site_shapes(law, design).items()}
        values = ravel_pytree(zeros)[1](z)
        log_prob = -potential_energy(law, (design,), {}, values)
        model = handlers.substitute(handlers.seed(law, 0), constrain_fn(law, (design,), {}, values))
        score = handlers.trace(model).get_trace(design)["score"]
        of = score["fn"].pointwise if by == "score" else score["fn"].of_models
        return log_prob, of(score["value"])[at]

    return density
