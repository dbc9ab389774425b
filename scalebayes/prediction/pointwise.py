"""Means, observations and log densities at the cells of a design, for every posterior draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers

from scalebayes.inference.compilation import compiled
from scalebayes.model.effects import local_dim
from scalebayes.prediction.new_levels import at_draw, positions
from scalebayes.prediction.padding import padded

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalebayes.inference.posterior import Fit
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law


def at_cells(
    fit: Fit,
    design: Design,
    seed: int,
    *,
    joint: bool = False,
    typical: bool = False,
    level: np.ndarray | None = None,
) -> dict[str, Any]:
    """Evaluate predictive quantities at the cells of a design, each of shape (chain, draw, cell).

    Args:
        fit: The fit.
        design: The cells.
        seed: Seed of effects of new labels and of replicated values.
        joint: Whether to compute the joint density of the unobserved scores.
        typical: Whether to set the effects of new runs to their population means.
        level: Levels of scores, NaN for none, shape (score_obs,). If given, also compute the probabilities of
            exceeding them: `above` for each score, and `all_above` for all scores of a model.

    Returns:
        For scores: score (mean and score, a new evaluation), log_density, and on request joint_log_density, above
        and all_above. For losses: loss, likewise.
    """
    typical = typical and any(local_dim(fit.law, str(k)) == "run" for k in fit.tree["log_prior"])
    sizes = fit.tree["posterior"].sizes
    shape = sizes["chain"], sizes["draw"]
    larger = padded(design)
    if level is not None:
        level = np.append(level, np.full(len(larger.score) - len(level), np.nan))
    with jax.enable_x64(fit.x64):
        keys = jax.random.split(jax.random.key(seed), shape[0] * shape[1])
        run = _predictor(fit.law, joint, typical)
        result = run(fit.draws(), keys, larger, positions(fit, larger), level)
    n_rows = {"loss": len(design.log_loss), "all_above": len(design.log_params)}

    def own(values: Any, n: int) -> Any:
        return jax.tree.map(lambda v: v.reshape(*shape, -1)[..., :n], values)

    return {name: own(v, n_rows.get(name, len(design.score))) for name, v in result.items()}


@compiled(2)
def _predictor(law: Law, joint: bool = False, typical: bool = False) -> Callable[..., Any]:

    def at_population_mean(site: Any) -> Any:
        run = local_dim(law, site["name"]) == "run"
        return jnp.broadcast_to(site["fn"].mean, site["fn"].shape()) if run else None

    def one(
        draw: dict[str, Any],
        key: Any,
        design: Design,
        position: dict[str, Any],
        level: Any = None,
    ) -> Any:
        effects, noise, noise_of_losses = jax.random.split(key, 3)
        fill = at_population_mean if typical else None
        model = handlers.seed(at_draw(law, draw, position, fill), effects)
        trace = handlers.trace(model).get_trace(design)
        found = {}
        if "score" in trace:
            mu = trace["mu"]["value"][design.score_model, design.score_benchmark]
            score = trace["score"]["fn"].given(design.score)
            found["score"] = {"mean": mu, "score": jnp.clip(score.sample(noise), 0.0, 1.0)}
            found["log_density"] = score.marginal.log_prob(design.score)
            if level is not None:
                found["above"] = score.above(level)
                found["all_above"] = score.all_above(level, noise)
            if joint:
                unseen = score.observing(~jnp.asarray(design.observed))
                found["joint_log_density"] = unseen.log_prob(design.score)
        if "loss" in trace:
            losses = trace["loss"]["fn"]
            again = losses.given(design.log_loss).sample(noise_of_losses)
            found["loss"] = {
                "mean": jnp.exp(losses.mean[losses.cell]),
                "score": jnp.exp(again),
            }
        return found

    return one
