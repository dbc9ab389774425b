"""average: several laws on one table, weighted by how well they predict larger runs from smaller ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from scalebayes.inference import fit
from scalebayes.posterior import Average
from scalebayes.prediction import log_score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.laws.law import Law
    from scalebayes.observations import Observations


def average(
    laws: Mapping[str, Law],
    observations: Observations,
    *,
    seed: int,
    hold_out: Sequence[str] = (),
    **settings: Any,
) -> Average:
    """Fit several laws, and weigh them by predictions of each size from the smaller ones.

    For each size from the third on, every law is fitted to the smaller sizes and predicts the models
    of that one. The weights maximise the mean log density of their mixture at these scores
    (stacking). Models to hold out play no part in it.

    Args:
        laws: The laws by a name of your choice.
        observations: Validated tables, with models of three sizes at least.
        seed: Seed of all random numbers.
        hold_out: Models whose scores and losses no law may see.
        **settings: Other arguments of `fit`, such as draws and chains.

    Returns:
        The fits and their weights.

    Raises:
        ValueError: If the models that may be seen have fewer than three sizes.

    References:
        Yao, Vehtari, Simpson and Gelman, Using stacking to average Bayesian predictive distributions,
        2018. https://doi.org/10.1214/17-BA1091
    """
    if len(laws) < 2:
        raise ValueError(f"an average needs at least two laws, got {list(laws)}")
    folds = sizes(observations, hold_out)[2:]
    if not folds:
        raise ValueError(
            "weights come from predicting larger models from smaller ones, for which models of "
            "three sizes are needed: fit one law, or add smaller models"
        )
    seen = observations.without(models=hold_out) if len(hold_out) else observations
    evidence = []
    for size, models in folds:
        larger = seen.models.loc[seen.models["params"] >= size, "model"]
        parts = {
            name: log_score(
                fit(law, observations, seed=seed, hold_out=[*larger, *hold_out], **settings),
                seen.only(models=models),
            )
            for name, law in laws.items()
        }
        found = next(iter(parts.values()))[["model", "benchmark"]].assign(params=size)
        evidence.append(found.assign(**{k: v["log_score"] for k, v in parts.items()}))
    table = pd.concat(evidence, ignore_index=True)
    weights = stacking(table[list(laws)].to_numpy())
    fits = {
        k: fit(law, observations, seed=seed, hold_out=hold_out, **settings)
        for k, law in laws.items()
    }
    return Average(fits, dict(zip(laws, weights.tolist(), strict=True)), table)


def sizes(
    observations: Observations, hold_out: Sequence[str] = ()
) -> list[tuple[float, list[str]]]:
    """The finished models of each size, smallest first: parameters and names."""
    models = observations.models[~observations.models["model"].isin(list(hold_out))]
    final = models["tokens"] == models.groupby("run")["tokens"].transform("max")
    models = models[final]
    return [
        (float(params), models.loc[models["params"] == params, "model"].tolist())
        for params in np.unique(models["params"])
    ]


def stacking(log_density: np.ndarray) -> np.ndarray:
    """Weights on the simplex that maximise the mean log density of the mixture.

    Args:
        log_density: Log density of each held-out value under each law, shape (value, law).
    """
    n_law = log_density.shape[1]

    def weights(free: np.ndarray) -> np.ndarray:
        return softmax(np.append(free, 0.0))

    def loss(free: np.ndarray) -> float:
        return -float(logsumexp(log_density, axis=1, b=weights(free)).mean())

    return weights(minimize(loss, np.zeros(n_law - 1), method="L-BFGS-B").x)
