"""condition: add new families to a fit by importance sampling, without a refit."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from arviz_stats.base import array_stats
from jax.flatten_util import ravel_pytree
from numpyro import handlers

from scalebayes.data.observations import Observations
from scalebayes.inference.compilation import compiled
from scalebayes.inference.diagnostics import ConvergenceWarning
from scalebayes.inference.tree import evaluate, make_tree
from scalebayes.model.effects import local_dim
from scalebayes.prediction.new_levels import at_draw, positions

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalebayes.inference.posterior import Fit
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law

PROPOSALS = 64
"""Proposals for the effects of the new families at each posterior draw."""

MAX_NEWTON_STEPS = 20
"""Largest number of Newton steps to the mode."""

NEWTON_TOLERANCE = 1e-3
"""Newton steps end when no effect changes by more than this."""

PROPOSAL_DF = 5.0
"""Degrees of freedom of the Student t proposals, whose tails are heavier than those of the posterior."""

MAX_PARETO_K = 0.7
"""Largest Pareto k of reliable importance weights (Vehtari et al., https://arxiv.org/abs/1507.02646)."""

MIN_EFFECTIVE_DRAWS = 100
"""Fewer effective draws after reweighting give a warning."""


def condition(fit: Fit, observations: Observations, *, seed: int = 0) -> Fit:
    """Add new families to a fit from a few of their models, in seconds.

    For each posterior draw, the effects of the new families are sampled given the new scores, by importance
    sampling around their conditional mode. The draws are then weighted by their predictive density of the new
    scores, with Pareto-smoothed weights, and resampled within chains. As the number of draws grows, the result
    converges to the posterior of a refit. `provenance["conditioned"]` holds Pareto k and effective sample sizes.

    Args:
        fit: The fit.
        observations: The new families' models and scores, on benchmarks of the fit.
        seed: Seed of the proposals and of the resampling.

    Returns:
        A fit of all observations, which includes the new families. A large Pareto k gives a `ConvergenceWarning`.

    Raises:
        ValueError: If a family is in the fit already (refit instead), a benchmark is not in the fit, or there are no
            new scores.

    Example:
        >>> new = sb.Observations.from_wide("new_family.csv")  # doctest: +SKIP
        >>> sb.predict(sb.condition(fit, new), larger_models)  # doctest: +SKIP

    References:
        Vehtari, Simpson, Gelman, Yao and Gabry, Pareto smoothed importance sampling,
        https://arxiv.org/abs/1507.02646
    """
    if known := [f for f in observations.families if f in fit.design.labels("family")]:
        raise ValueError(
            f"the fit knows {known} already, but condition adds new families: for new models of known "
            "families fit again"
        )
    if not len(observations.scores):
        raise ValueError(
            "the observations hold no scores to condition on: add scores of the new families"
        )
    law = fit.law
    draws = fit.draws()
    observations = fit.complete(observations)
    extended = replace(
        fit, observations=Observations.concat(fit.observations, observations, scales="trust")
    )
    small = fit.design_of(observations)
    position = positions(fit, small)
    sizes = fit.tree["posterior"].sizes
    n_chain, n_draw = sizes["chain"], sizes["draw"]
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(seed), n_chain * n_draw)
        run = _conditioner(law)
        local, log_weight, inner = jax.tree.map(np.asarray, run(draws, keys, small, position))
    weight, pareto_k = importance_weights(log_weight)
    effective = 1 / float((weight**2).sum())
    if pareto_k > MAX_PARETO_K or effective < MIN_EFFECTIVE_DRAWS:
        warnings.warn(
            f"the new scores change the global parameters too much for importance sampling (Pareto k "
            f"{pareto_k:.2f}, {effective:.0f} effective draws): fit again with the new families",
            ConvergenceWarning,
            stacklevel=2,
        )
    rng = np.random.default_rng(seed)
    chosen = np.stack(  # sorted, so that effective sample sizes account for repeated draws
        [
            np.sort(rng.choice(n_draw, n_draw, p=part / part.sum()))
            for part in weight.reshape(n_chain, n_draw)
        ]
    )

    def resampled(values: np.ndarray) -> np.ndarray:
        shaped = values.reshape(n_chain, n_draw, *values.shape[1:])
        return np.stack([chain[rows] for chain, rows in zip(shaped, chosen, strict=True)])

    design = extended.design
    joined = {}
    for name in {*draws, *local}:
        values = resampled(draws[name]) if name in draws else None
        if (dim := local_dim(law, name)) is not None and name in local:
            new = [i for i, at in enumerate(position[dim]) if at < 0]
            rows = resampled(local[name])[:, :, new]
            values = rows if values is None else np.concatenate([values, rows], axis=2)
        joined[name] = values
    with jax.enable_x64(True):
        sites = evaluate(law, design, joined)
    stats = {
        str(k): resampled(v.to_numpy().reshape(-1))
        for k, v in fit.tree["sample_stats"].to_dataset().data_vars.items()
        if k != "tree_depth"
    }
    about = {
        "families": list(observations.families),
        "pareto_k": pareto_k,
        "effective_draws": effective,
        "smallest_inner_effective_draws": float(inner.min()),
    }
    conditioned = [*fit.provenance.get("conditioned", []), about]
    return replace(
        extended,
        tree=make_tree(law, design, sites, stats),
        provenance={**fit.provenance, "conditioned": conditioned},
        judged=None,  # these are other draws
    )


def importance_weights(log_weight: np.ndarray) -> tuple[np.ndarray, float]:
    """Normalised weights of draws, their tail Pareto-smoothed, and the Pareto k of the tail.

    Args:
        log_weight: Log weight of each draw, up to a constant, shape (sample,).
    """
    # the function is made for leave-one-out: it takes log likelihoods and weighs by their inverse
    smoothed, pareto_k = array_stats.psislw(-log_weight, r_eff=1.0, axis=-1)
    weight = np.exp(smoothed - np.max(smoothed))
    return weight / weight.sum(), float(pareto_k)


@compiled(2)
def _conditioner(law: Law) -> Callable[..., Any]:
    """Compiled: one posterior draw to effects of the new families, and the draw's log weight."""

    def one(draw: dict[str, Any], key: Any, design: Design, position: dict[str, Any]) -> Any:
        def centre(site: Any) -> Any:
            return jnp.broadcast_to(
                site["fn"].mean, site["fn"].batch_shape + site["fn"].event_shape
            )

        start_model = handlers.seed(at_draw(law, draw, position, centre), 0)
        start_trace = handlers.trace(start_model).get_trace(design)
        start = {
            k: s["value"]
            for k, s in start_trace.items()
            if s["type"] == "sample" and not s["is_observed"] and local_dim(law, k) is not None
        }
        flat, unflatten = ravel_pytree(start)

        def log_joint(flat: Any) -> Any:
            """Log density of the local effects and the new scores given the global draw."""
            effects = unflatten(flat)
            model = at_draw(law, draw, position, lambda site: effects[site["name"]])
            trace = handlers.trace(handlers.seed(model, 0)).get_trace(design)
            log_density = sum(
                trace[k]["fn"].log_prob(trace[k]["value"]).sum()
                for k, site in trace.items()
                if k in effects or (site["type"] == "sample" and site["is_observed"])
            )
            # rows of known labels are unused: give them a proper density
            for name, rows in effects.items():
                known = position[law.dims[name][0]] >= 0
                unused = rows * known.reshape(-1, *[1] * (rows.ndim - 1))
                log_density += jax.scipy.stats.norm.logpdf(unused).sum()
            return log_density

        mode, root = _mode(log_joint, flat)
        key_z, key_u, key_pick = jax.random.split(key, 3)
        d = flat.shape[0]
        z = jax.random.normal(key_z, (PROPOSALS, d))
        u = jax.random.chisquare(key_u, PROPOSAL_DF, shape=(PROPOSALS, 1)) / PROPOSAL_DF
        proposals = mode + (z / jnp.sqrt(u)) @ root.T
        t = numpyro.distributions.MultivariateStudentT(PROPOSAL_DF, mode, root)
        ratio = jax.vmap(log_joint)(proposals) - t.log_prob(proposals)
        pick = jax.random.categorical(key_pick, ratio)
        share = jax.nn.softmax(ratio)
        log_weight = jax.nn.logsumexp(ratio) - jnp.log(PROPOSALS)
        return unflatten(proposals[pick]), log_weight, 1 / jnp.sum(share**2)

    return one


def _mode(log_density: Callable[[Any], Any], start: Any) -> tuple[Any, Any]:
    """Mode by damped Newton steps, and a root of the inverse curvature at the last step."""
    lengths = jnp.array([1.0, 0.5, 0.25, 0.1, 0.02, 0.0])

    def gradient(x: Any) -> tuple[Any, Any]:
        found = jax.grad(log_density)(x)
        return found, found

    def unconverged(state: Any) -> Any:
        steps, _, moved, _ = state
        return (steps < MAX_NEWTON_STEPS) & (moved > NEWTON_TOLERANCE)

    def step(state: Any) -> Any:
        steps, x, _, _ = state
        hessian, slope = jax.jacfwd(gradient, has_aux=True)(x)
        values, vectors = jnp.linalg.eigh(-hessian)
        values = jnp.maximum(jnp.abs(values), 1e-3)
        direction = vectors @ ((vectors.T @ slope) / values)
        candidates = x + lengths[:, None] * direction
        heights = jax.vmap(log_density)(candidates)
        best = candidates[jnp.argmax(jnp.where(jnp.isnan(heights), -jnp.inf, heights))]
        return steps + 1, best, jnp.abs(best - x).max(), (vectors / values) @ vectors.T

    unknown = jnp.zeros((len(start), len(start)))
    _, x, _, inverse = jax.lax.while_loop(unconverged, step, (0, start, jnp.inf, unknown))
    return x, jnp.linalg.cholesky(inverse)  # a triangular root, for a multivariate t
