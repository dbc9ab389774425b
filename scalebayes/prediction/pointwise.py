"""Means, observations and log densities at the cells of a design, for every posterior draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers

from scalebayes.inference.compilation import compiled
from scalebayes.model.effects import local_dim
from scalebayes.prediction.new_levels import given, positions

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
    """Means, observations and log densities at the cells of a design, shape (chain, draw, cell).

    Args:
        fit: The fit.
        design: The cells.
        seed: Seed of what is drawn.
        joint: Whether the joint density of what is not observed is among them.
        typical: Whether a new run is one like the others, and has no luck of its own.
        level: Levels of scores, NaN where there is none, shape (score_obs,): the probabilities to exceed them
            are among them, of each as `above` and of all of a model as `all_above`.
    """
    typical = typical and any(local_dim(fit.law, str(k)) == "run" for k in fit.tree["log_prior"])
    sizes = fit.tree["posterior"].sizes
    shape = sizes["chain"], sizes["draw"]
    with jax.enable_x64(fit.x64):
        keys = jax.random.split(jax.random.key(seed), shape[0] * shape[1])
        run = _predictor(fit.law, joint, typical)
        result = run(fit.draws(), keys, design, positions(fit, design), level)
    return jax.tree.map(lambda v: np.asarray(v).reshape(*shape, -1), result)


@compiled(2)
def _predictor(law: Law, joint: bool = False, typical: bool = False) -> Callable[..., Any]:

    def like_others(site: Any) -> Any:
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
        fill = like_others if typical else None
        model = handlers.seed(given(law, draw, position, fill), effects)
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
                asked = score.observing(~jnp.asarray(design.observed))
                found["joint_log_density"] = asked.log_prob(design.score)
        if "loss" in trace:
            losses = trace["loss"]["fn"]
            again = losses.given(design.log_loss).sample(noise_of_losses)
            found["loss"] = {
                "mean": jnp.exp(losses.mean[losses.cell]),
                "score": jnp.exp(again),
            }
        return found

    return one
