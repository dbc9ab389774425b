"""Draws to groups of sites, and groups to a DataTree in ArviZ's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import xarray as xr
from arviz_base import from_dict
from numpyro import handlers
from numpyro.infer.util import constrain_fn

from scalebayes.inference.compilation import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scalebayes.model.design import Design
    from scalebayes.model.law import Law


def evaluate(
    law: Law, design: Design, draws: dict[str, Any], *, constrain: bool = False
) -> dict[str, dict[str, Any]]:
    """Deterministic sites, pointwise log likelihood and log prior at draws of the sampled sites.

    Args:
        law: The law.
        design: The data.
        draws: Values of the sampled sites, each with leading dimensions (chain, draw).
        constrain: Whether the values are on the sampler's unconstrained scale.

    Returns:
        The groups posterior, log_likelihood and log_prior, as `make_tree` takes them.
    """
    run = _evaluator(law, constrain)
    shape = np.shape(next(iter(draws.values())))[:2]
    sites = run({k: np.reshape(v, (-1, *np.shape(v)[2:])) for k, v in draws.items()}, design)
    return jax.tree.map(lambda v: np.asarray(v).reshape(shape + v.shape[1:]), sites)


@compiled(1)
def _evaluator(law: Law, constrain: bool) -> Callable[..., Any]:

    def one(values: dict[str, Any], design: Design) -> dict[str, dict[str, Any]]:
        if constrain:
            values = constrain_fn(law, (design,), {}, values)
        model = handlers.substitute(handlers.seed(law, 0), values)
        trace = handlers.trace(model).get_trace(design)
        sampled = {k: s for k, s in trace.items() if s["type"] == "sample"}
        return {
            "posterior": {
                k: s["value"]
                for k, s in trace.items()
                if s["type"] == "deterministic" or (k in sampled and not s["is_observed"])
            },
            "log_likelihood": {
                k: s["fn"].pointwise(s["value"]) for k, s in sampled.items() if s["is_observed"]
            },
            "log_prior": {
                k: s["fn"].log_prob(s["value"]).sum()
                for k, s in sampled.items()
                if not s["is_observed"]
            },
        }

    return one


def make_tree(
    law: Law,
    design: Design,
    sites: Mapping[str, Mapping[str, np.ndarray]],
    stats: Mapping[str, np.ndarray],
) -> xr.DataTree:
    """Arrays of a fit as a DataTree in ArviZ's schema.

    Args:
        law: The law, for its dims and labels.
        design: The data, for their labels.
        sites: posterior, log_likelihood and log_prior, each a dict of arrays (chain, draw, ...).
        stats: Sampler statistics, each (chain, draw).
    """
    seen = {"score": np.asarray(design.observed), "loss": np.asarray(design.loss_observed)}

    def names(dim: str, position: Any, what: str) -> np.ndarray:
        return np.array(design.labels(dim), object)[np.asarray(position)[seen[what]]].astype(str)

    models = names("model", design.score_model, "score")
    benchmarks = names("benchmark", design.score_benchmark, "score")
    coords = {dim: list(labels) for dim, labels in design.coords} | law.coords()
    coords["quantity"] = ["params", "tokens"]
    coords["score_obs"] = [f"{m} / {b}" for m, b in zip(models, benchmarks, strict=True)]
    of_losses = {}
    if "loss" in sites["log_likelihood"]:
        of_losses = {
            "loss_model": names("model", design.loss_model, "loss"),
            "loss_domain": names("domain", design.loss_domain, "loss"),
        }
        coords["loss_obs"] = [f"{m} / {d}" for m, d in zip(*of_losses.values(), strict=True)]
    values = {"score": design.score, "loss": np.exp(np.asarray(design.log_loss))}
    n_steps = np.asarray(stats["n_steps"])
    tree = from_dict(
        {
            "posterior": dict(sites["posterior"]),
            "log_likelihood": {k: v[..., seen[k]] for k, v in sites["log_likelihood"].items()},
            "sample_stats": {**stats, "tree_depth": np.floor(np.log2(n_steps)).astype(int) + 1},
            "observed_data": {k: np.asarray(values[k])[seen[k]] for k in sites["log_likelihood"]},
            "constant_data": {
                "score_model": models,
                "score_benchmark": benchmarks,
                **of_losses,
                "n_items": np.asarray(design.n_items)[seen["score"]],
                "log_params": np.asarray(design.log_params),
                "log_tokens": np.asarray(design.log_tokens),
                "family_of_model": np.array(
                    [design.labels("family")[i] for i in np.asarray(design.family)]
                ),
                "centre": np.asarray(design.centre),
            },
        },
        coords={k: v for k, v in coords.items() if v},
        dims={
            **{k: list(v) for k, v in law.dims.items()},
            "score_model": ["score_obs"],
            "score_benchmark": ["score_obs"],
            "loss_model": ["loss_obs"],
            "loss_domain": ["loss_obs"],
            "n_items": ["score_obs"],
            "log_params": ["model"],
            "log_tokens": ["model"],
            "family_of_model": ["model"],
            "centre": ["family", "quantity"],
        },
    )
    tree["log_prior"] = from_dict({"log_prior": dict(sites["log_prior"])})["log_prior"]
    return tree
