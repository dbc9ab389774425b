"""Simulation from laws: prior predictive draws, and simulated tables with their parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import xarray as xr
from numpyro import handlers

from scalebayes.inference.compilation import compiled, make_room
from scalebayes.inference.tree import make_tree
from scalebayes.model import design as designs
from scalebayes.model.requirements import declarations

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalebayes.data.observations import Observations
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law


def prior_predictive(
    law: Law, observations: Observations, *, seed: int, draws: int = 500
) -> xr.DataTree:
    """Draw parameters and observations from the prior predictive distribution of a law.

    Args:
        law: The law.
        observations: Models, benchmarks and cells of the table. Scores are used only for the centring constants of
            benchmarks and families.
        seed: Seed of the draws.
        draws: Number of draws.

    Returns:
        DataTree with the groups prior and prior_predictive; In the latter `score` has the dimension
        score_obs, in the order of `observations.scores`, and is clipped to [0, 1]. For a law with losses, `loss`
        has the dimension loss_obs, in the order of `observations.losses`.

    Example:
        >>> tree = sb.prior_predictive(sb.SharedIntercept(), fit.observations, seed=0, draws=10)
        >>> tree["prior_predictive"]["score"].dims
        ('chain', 'draw', 'score_obs')
    """
    make_room()
    with jax.enable_x64(True):
        design = designs.build(observations, covariates=declarations(law, observations))
        run = _simulator(law)
        keys = jax.random.split(jax.random.key(seed), draws)
        values, observed = run(keys, np.tile(design.log_loss, (draws, 1)), design)
        if "loss" in observed:  # scores given the simulated losses
            values, observed = run(keys, observed["loss"], design)
    observed = {k: np.asarray(v)[None] for k, v in observed.items()}
    if "score" in observed:
        observed["score"] = np.clip(observed["score"], 0, 1)
    if "loss" in observed:
        observed["loss"] = np.exp(observed["loss"])
    sites = {
        "posterior": {k: np.asarray(v)[None] for k, v in values.items()},
        "log_likelihood": observed,
        "log_prior": {},
    }
    made = make_tree(law, design, sites, {"n_steps": np.ones((1, draws))})
    return xr.DataTree.from_dict(
        {
            "prior": made["posterior"].to_dataset(),
            "prior_predictive": made["log_likelihood"].to_dataset(),
        }
    )


@compiled(2)
def _simulator(law: Law) -> Callable[..., Any]:
    """Compiled: keys, observed losses and a design to parameters and observed values."""

    def one(
        key: jax.Array, log_loss: jax.Array, design: Design
    ) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        sites, noise, noise_of_losses = jax.random.split(key, 3)
        trace = handlers.trace(handlers.seed(law, sites)).get_trace(
            replace(design, log_loss=log_loss)
        )
        values = {
            k: s["value"]
            for k, s in trace.items()
            if s["type"] in ("sample", "deterministic") and not s.get("is_observed")
        }
        observed = {
            k: trace[k]["fn"].sample(noise_of)
            for k, noise_of in (("score", noise), ("loss", noise_of_losses))
            if k in trace
        }
        return values, observed

    return one


def simulate(
    law: Law, observations: Observations, *, seed: int
) -> tuple[Observations, dict[str, np.ndarray]]:
    """Simulate the scores and losses of a table from the prior of a law.

    Args:
        law: The law.
        observations: Models, benchmarks and cells of the table. To fit the result with the simulating law, pass `fit`
            the reference of these observations: by default it is computed from the simulated ones.
        seed: Seed of parameters and scores.

    Returns:
        The observations with simulated scores and losses, and the true value of every site, including `mu`.

    Example:
        >>> simulated, truth = sb.simulate(sb.SharedIntercept(), fit.observations, seed=0)
        >>> truth["beta"].shape  # (input, benchmark)
        (1, 4)
    """
    tree = prior_predictive(law, observations, seed=seed, draws=1)
    truth = {str(k): v.to_numpy()[0, 0] for k, v in tree["prior"].to_dataset().data_vars.items()}
    scores, losses = observations.scores, observations.losses
    for of, rows in (("score", scores), ("loss", losses)):
        if of in tree["prior_predictive"]:
            rows[of] = tree["prior_predictive"][of].to_numpy().reshape(-1)
    return observations.with_tables(scores=scores, losses=losses), truth
