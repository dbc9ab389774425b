"""Draws of parameters from their priors and from the posterior, on a common scale.

The prior of a parameter is conditional on its hyperparameters, which have their posterior. For a parameter
without hyperparameters it is the law's prior, for a family effect the estimated population of families.
Compared with its marginal prior, a slope without data would seem identified as soon as the data identify the
spread of other slopes.

Sampled sites are transformed to the unconstrained scale. Sites that are not identified, such as loadings, are
replaced by invariants.

Reference:
    Bayesian measures of explained variance and pooling in multilevel models (effects against their
    population), https://doi.org/10.1198/004017005000000517
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from numpyro import handlers
from numpyro.distributions import biject_to

from scalebayes.inference.compilation import compiled, make_room
from scalebayes.model.design import LOCAL_DIMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scalebayes.inference.posterior import Fit
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law
    from scalebayes.model.sites import Invariant

Values = dict[str, np.ndarray]

DIMS_OF_GROUPS = ("input", "family_input")
"""Dimensions whose labels form separate groups: different data inform slopes on size and on tokens."""

COLUMN_OF_DIM = {dim: dim for dim in LOCAL_DIMS} | {"model_without_tokens": "model"}
"""Column of the table of models with the labels of a local dimension."""


class Draws(NamedTuple):
    """Draws of parameters from prior and posterior, on the unconstrained scale.

    Attributes:
        elements: One row per parameter: site, sampled (the sampled sites that it depends on), phrase, need, group
            (the site, or its part for one input), at (the other labels), name (site and all labels), benchmark,
            input, block (benchmark, domain, or shared; empty for local effects), local (whether it is an effect
            of a family, lineage, run or model), judged (whether it has a verdict).
        prior: Draws from each parameter's own prior, shape (draw, parameter).
        posterior: Posterior draws, shape (draw, parameter).
        log_likelihood: Joint log likelihood of the observed scores and losses, shape (draw,).
        log_prior: Log prior of each sampled site, shape (draw,).
    """

    elements: pd.DataFrame
    prior: np.ndarray
    posterior: np.ndarray
    log_likelihood: np.ndarray
    log_prior: Values


def side_by_side(fit: Fit, models: pd.DataFrame, chosen: np.ndarray, seed: int) -> Draws:
    """Draw parameters from their conditional priors, and match them with posterior draws.

    Args:
        fit: The fit.
        models: The models seen by the fit; effects of other models and of their families are left out.
        chosen: Indices of the posterior draws to use; there are as many prior draws.
        seed: Seed of the draws from priors.
    """
    make_room()
    own = {k: v[chosen] for k, v in fit.draws().items()}
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(seed), len(chosen))
        run = _program(fit.law)
        prior, posterior, log_likelihood = run(keys, own, fit.design)
    prior, posterior = (jax.tree.map(np.asarray, values) for values in (prior, posterior))
    before, after = (
        fit.law.invariants(values, posterior, fit.design) for values in (prior, posterior)
    )
    elements = pd.DataFrame([row for invariant in after for row in _rows(fit, invariant)])
    effects = elements["dim"].map(lambda dim: set(models[COLUMN_OF_DIM[dim]]) if dim else set())
    kept = [
        not dim or label in shown
        for dim, label, shown in zip(elements["dim"], elements["label"], effects, strict=True)
    ]
    return Draws(
        elements=elements[kept].drop(columns=["dim", "label"]).reset_index(drop=True),
        prior=_flat(before)[:, kept],
        posterior=_flat(after)[:, kept],
        log_likelihood=np.asarray(log_likelihood),
        log_prior={
            str(k): v.to_numpy().reshape(-1)[chosen] for k, v in fit.tree["log_prior"].items()
        },
    )


@compiled(2)
def _program(law: Law) -> Callable[..., Any]:
    """Compiled: keys, posterior draws and a design to unconstrained sites of both, and log likelihoods."""

    def one(key: Any, values: dict[str, Any], design: Design) -> Any:
        trace = handlers.trace(handlers.substitute(handlers.seed(law, 0), values)).get_trace(design)
        sampled = {k: s for k, s in trace.items() if s["type"] == "sample"}
        prior, posterior, log_likelihood = {}, {}, 0.0
        for name, site in sampled.items():
            if site["is_observed"]:
                log_likelihood = log_likelihood + site["fn"].log_prob(site["value"])
                continue
            key, own = jax.random.split(key)
            free = biject_to(site["fn"].support).inv
            prior[name], posterior[name] = free(site["fn"].sample(own)), free(site["value"])
        if law.rotated:
            anew = handlers.trace(handlers.seed(law, key)).get_trace(design)
            for name in law.rotated:
                prior[name], posterior[name] = anew[name]["value"], trace[name]["value"]
        return prior, posterior, log_likelihood

    return one


def _rows(fit: Fit, invariant: Invariant) -> list[dict[str, Any]]:
    """Rows of `Draws.elements` for one quantity, with dimension and label of a local effect."""
    name, declared = invariant.name, invariant.site
    effect = declared.dims[0] if declared.dims and declared.dims[0] in LOCAL_DIMS else ""
    places: Iterable[Mapping[str, str]] = invariant.places or (
        dict(zip(declared.dims, labels, strict=True))
        for labels in product(*map(fit.labels, declared.dims))
    )
    rows = []
    for of in places:
        part = next((of[d] for d in DIMS_OF_GROUPS if d in of), "")
        block = next((f"{d} {of[d]}" for d in ("benchmark", "domain") if d in of), "shared")
        rows.append(
            {
                "site": name,
                "sampled": invariant.sampled,
                "phrase": declared.phrase,
                "need": declared.informed_by,
                "group": f"{name}[{part}]" if part else name,
                "at": " / ".join(label for d, label in of.items() if d not in DIMS_OF_GROUPS),
                "name": f"{name}[{', '.join(of.values())}]" if of else name,
                "benchmark": of.get("benchmark", ""),
                "input": part,
                "block": "" if effect or invariant.places else block,
                "local": bool(effect),
                "judged": not declared.exchangeable,
                "dim": effect,
                "label": of.get(effect, ""),
            }
        )
    return rows


def _flat(invariants: Iterable[Invariant]) -> np.ndarray:
    return np.concatenate([own.values.reshape(len(own.values), -1) for own in invariants], axis=1)
