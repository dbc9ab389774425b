"""Draws of parameters before and after the data, side by side, where the two can be compared.

Before the data a parameter is what its own prior says, given the parameters above it as the posterior has
them. For a parameter with nothing above it that is the law's prior; for a family, the population of
families; for a slope, slopes of the size that the fit has found slopes to have. Against its marginal prior a
slope of which the data say nothing would seem known as soon as other slopes are.

Sampled sites are taken to the unconstrained scale. Where values have twins that say the same, what the twins
have in common stands in their place.

Reference:
    Bayesian measures of explained variance and pooling in multilevel models (effects against their
    population), https://doi.org/10.1198/004017005000000517
"""

from __future__ import annotations

import functools
import json
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from numpyro import handlers
from numpyro.distributions import biject_to

from scalebayes.inference.compilation import make_room, over_draws
from scalebayes.laws import LAWS
from scalebayes.model.effects import LOCAL_DIMS
from scalebayes.model.law import from_specification, specification

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalebayes.inference.posterior import Fit
    from scalebayes.model.design import Design
    from scalebayes.model.law import Law

Values = dict[str, np.ndarray]

LOADINGS = ("loading", "leading")
"""Sites behind the loadings."""

SPLIT = ("input", "family_input")
"""Dimensions whose labels make groups of their own: what tells about size does not tell about tokens."""

EXCHANGEABLE = "hidden"
"""Units along this dimension may change places, so that no parameter of a single one means anything."""

OF_MODELS = {dim: dim for dim in LOCAL_DIMS} | {"model_without_tokens": "model"}
"""Column of the table of models that has the labels of a dimension."""


class Draws(NamedTuple):
    """Parameters before and after the data, on the unconstrained scale.

    Attributes:
        elements: One row a parameter: site, group (the site, or its part for one input), at (labels
            of the rest), name (site and all labels), benchmark, input, block (benchmark, domain, or shared; empty
            for effects of families and models), local (whether it is such an effect), judged (whether it is
            any known parameter at all).
        prior: Draws from each parameter's own prior, shape (draw, parameter).
        posterior: Posterior draws, shape (draw, parameter).
        log_likelihood: Joint log likelihood of all that was seen, shape (draw,).
        log_prior: Log prior of each sampled site, shape (draw,).
    """

    elements: pd.DataFrame
    prior: np.ndarray
    posterior: np.ndarray
    log_likelihood: np.ndarray
    log_prior: Values


def sources(site: str) -> tuple[str, ...]:
    """The sampled sites behind a site of `Draws`."""
    return LOADINGS if site.startswith("lam ") else (site,)


def side_by_side(fit: Fit, models: pd.DataFrame, chosen: np.ndarray, seed: int) -> Draws:
    """Set draws from each parameter's own prior beside posterior draws.

    Args:
        fit: The fit.
        models: The models that the fit has seen; effects of others, and of their families, are left out.
        chosen: Positions of the posterior draws to use; there will be as many of the prior.
        seed: Seed of the draws from priors.
    """
    make_room()
    own = {k: v[chosen] for k, v in fit.draws().items()}
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(seed), len(chosen))
        run = _program(json.dumps(specification(fit.law)))
        prior, posterior, log_likelihood = run(keys, own, fit.design)
    before, after = (
        _without_twins(
            fit.law, jax.tree.map(np.asarray, values), np.asarray(posterior.get("lam", 0))
        )
        for values in (prior, posterior)
    )
    elements = pd.DataFrame([row for site in after for row in _rows(fit, site)])
    effects = elements["dim"].map(lambda dim: set(models[OF_MODELS[dim]]) if dim else set())
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


@functools.lru_cache(maxsize=16)
def _program(law_json: str) -> Callable[..., Any]:
    """Compiled: keys, posterior draws and a design to unconstrained sites of both, and log likelihoods."""
    law = from_specification(json.loads(law_json), LAWS)

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
        if "lam" in trace:
            anew = handlers.trace(handlers.seed(law, key)).get_trace(design)
            prior["lam"], posterior["lam"] = anew["lam"]["value"], trace["lam"]["value"]
        return prior, posterior, log_likelihood

    return over_draws(one, 2, optimised=False)


def _without_twins(law: Law, values: Values, lam: np.ndarray) -> Values:
    """Unconstrained sites, with what twins have in common in their place.

    Args:
        law: The law.
        values: Sites, and loadings where there are any.
        lam: Loadings of the posterior, which take effects on skills to the benchmarks.
    """
    judged = {}
    if "lam" in values:
        length = np.linalg.norm(values["lam"], axis=2)
        along = values["lam"] / length[..., None]
        one, other = np.tril_indices(along.shape[1], -1)
        judged["lam length"] = np.log(length)
        judged["lam angle"] = (along[:, one] * along[:, other]).sum(-1)
    for site in law.dims:  # in the order of the law's story
        if site not in values or site in ("lam", *LOADINGS):
            continue
        value = values[site]
        if site in getattr(law, "even", ()):
            value = np.log(np.abs(value))
        elif law.dims[site][-1:] == ("skill",):
            value = np.einsum("s...k,sjk->s...j", value, lam)
        judged[site] = value
    return judged


def _rows(fit: Fit, site: str) -> list[dict[str, Any]]:
    """Rows of `Draws.elements` for one site, with the dimension and label of an effect of families or models."""
    dims = {"lam length": ("benchmark",), "lam angle": ("benchmark", "with")}.get(
        site, fit.law.dims.get(site, ())
    )
    dims = tuple("benchmark" if d == "skill" else d for d in dims)
    effect = dims[0] if dims and dims[0] in LOCAL_DIMS else ""
    if site == "lam angle":
        names = fit.design.labels("benchmark")
        places = [
            {"benchmark": names[j], "with": names[k]}
            for j, k in zip(*np.tril_indices(len(names), -1), strict=True)
        ]
    else:
        places = [
            dict(zip(dims, labels, strict=True)) for labels in product(*map(fit.labels, dims))
        ]
    rows = []
    for of in places:
        part = next((of[d] for d in SPLIT if d in of), "")
        block = next((f"{d} {of[d]}" for d in ("benchmark", "domain") if d in of), "shared")
        rows.append(
            {
                "site": site,
                "group": f"{site}[{part}]" if part else site,
                "at": " / ".join(label for d, label in of.items() if d not in SPLIT),
                "name": f"{site}[{', '.join(of.values())}]" if of else site,
                "benchmark": of.get("benchmark", ""),
                "input": part,
                "block": "" if effect or "with" in of else block,
                "local": bool(effect),
                "judged": EXCHANGEABLE not in of,
                "dim": effect,
                "label": of.get(effect, ""),
            }
        )
    return rows


def _flat(values: Values) -> np.ndarray:
    return np.concatenate([v.reshape(len(v), -1) for v in values.values()], axis=1)
