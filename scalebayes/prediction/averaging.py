"""average, fit_average: averages of laws, with weights from predictions of larger models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from scalebayes.data.schema import TO_ONE, quoted
from scalebayes.inference.fitting import fit
from scalebayes.inference.posterior import Fit
from scalebayes.prediction.averages import Average
from scalebayes.prediction.log_scores import joint_log_density

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.data.observations import Observations
    from scalebayes.model.law import Law


def average(fits: Mapping[str, Fit], weights: Mapping[str, float]) -> Average:
    """Average fits of several laws, with weights of your choice.

    Args:
        fits: Fits to the same scores, by name.
        weights: Weight of each law, such as `Comparison.weights`.

    Returns:
        The average, which `predict` and the planning functions accept in place of a fit.

    Raises:
        ValueError: If the names of weights and fits differ, the weights are negative or do not sum to one, or the
            fits have not seen the same scores in the same order.

    Example:
        >>> sb.average({"one": fit, "other": fit}, {"one": 0.75, "other": 0.25}).weights
        {'one': 0.75, 'other': 0.25}

    References:
        Yao, Vehtari, Simpson and Gelman, Using stacking to average Bayesian predictive distributions,
        2018. https://doi.org/10.1214/17-BA1091
    """
    check_same_scores(fits)
    if set(fits) != set(weights):
        raise ValueError(
            f"weights are of {quoted(weights)}, fits of {quoted(fits)}: give one weight a fit"
        )
    if min(weights.values()) < 0 or abs(sum(weights.values()) - 1) > TO_ONE:
        raise ValueError(f"weights must not be negative and sum to one, but are {dict(weights)}")
    return Average(dict(fits), {name: float(weights[name]) for name in fits})


def check_same_scores(fits: Mapping[str, Fit]) -> None:
    """Check that all fits have seen the same scores of the same models, in the same order."""
    tables = {name: fit.seen_scores.reset_index(drop=True) for name, fit in fits.items()}
    (first, expected), *others = tables.items()
    for name, found in others:
        both = expected.merge(found, how="outer", indicator=True)
        differ = both.loc[both["_merge"] != "both", ["model", "benchmark"]].drop_duplicates()
        if len(differ):
            shown = ", ".join(f"{m} / {b}" for m, b in differ.head(5).itertuples(index=False))
            raise ValueError(
                f"{first!r} and {name!r} have not seen the same scores: {len(differ)} differ, such as "
                f"{shown}. Fit both to the same table"
            )
        if not expected.equals(found):
            raise ValueError(
                f"{first!r} and {name!r} have seen the same scores in another order: fit both to the "
                "same table"
            )


def fit_average(
    laws: Mapping[str, Law],
    observations: Observations,
    *,
    seed: int,
    hold_out: Sequence[str] = (),
    **settings: Any,
) -> Average:
    """Fit several laws, and weight them by their predictions of each size from the smaller ones.

    For each size from the third on, every law is fitted to the smaller sizes and predicts the models of that
    size. Prediction errors of models of one size are correlated. The criterion is therefore the joint density
    of all their scores, and a size is one piece of evidence. The weights are posterior means of stacking
    weights (see `stacking`): a law that predicts two sizes much better than another gets three quarters of
    the weight, not all. Held-out models are not used.

    Args:
        laws: The laws, by names of your choice.
        observations: Validated tables, with models of three sizes at least.
        seed: Seed of all random numbers.
        hold_out: Models whose scores and losses are held out from all fits.
        **settings: Other arguments of `fit`, such as `sampler`.

    Returns:
        The fits to all sizes with their weights, and the evidence for each size.

    Raises:
        ValueError: If there are fewer than two laws, or the models have fewer than three sizes.

    References:
        Yao, Pirš, Vehtari and Gelman, Bayesian hierarchical stacking: some models are (somewhere)
        useful, 2022. https://doi.org/10.1214/21-BA1287

    Example:
        >>> laws = {"ladder": sb.Ladder(), "flp": sb.Flp()}
        >>> sb.fit_average(laws, sb.datasets.olmo_ladder(), seed=0).weights  # doctest: +SKIP
    """
    if len(laws) < 2:
        raise ValueError(f"laws must be at least two laws, got {list(laws)}")
    folds = sizes(observations, hold_out)[2:]
    if not folds:
        raise ValueError(
            "weights are estimated from predictions of larger models from smaller ones, for which models of "
            "three sizes are needed: fit one law, or add smaller models"
        )
    seen = observations.without(models=hold_out) if len(hold_out) else observations
    evidence = []
    for size, models in folds:
        larger = seen.models.loc[seen.models["params"] >= size, "model"]
        truth = seen.only(models=models)
        found = {
            name: joint_log_density(
                fit(law, observations, seed=seed, hold_out=[*larger, *hold_out], **settings), truth
            )
            for name, law in laws.items()
        }
        evidence.append({"params": size, "n_scores": len(truth.scores), **found})
    table = pd.DataFrame(evidence)
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
    last = models["tokens"] == models.groupby("run")["tokens"].transform("max")
    models = models[last | models["tokens"].isna()]
    return [
        (float(params), models.loc[models["params"] == params, "model"].tolist())
        for params in np.unique(models["params"])
    ]


def stacking(log_density: np.ndarray, draws: int = 100_000) -> np.ndarray:
    """Posterior mean of stacking weights.

    The prior is Dirichlet(2 / laws), with a total concentration of two for any number of laws. For two laws it
    is uniform.

    Args:
        log_density: Log density of each piece of evidence under each law, shape (piece, law).
        draws: Number of Monte Carlo draws of the weights.
    """
    n_law = log_density.shape[1]
    weights = np.random.default_rng(0).dirichlet(np.full(n_law, 2 / n_law), draws)
    relative = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    support = np.zeros(draws)
    for row in relative:  # row by row, to save memory
        support += np.log(weights @ row)
    return softmax(support) @ weights


def pseudo_bma(log_density: np.ndarray, draws: int = 10_000) -> np.ndarray:
    """Pseudo-BMA weights, averaged over a Bayesian bootstrap of the pieces of evidence (pseudo-BMA+).

    Args:
        log_density: Log density of each piece of evidence under each law, shape (piece, law).
        draws: Draws of the bootstrap.

    References:
        Yao, Vehtari, Simpson and Gelman, Using stacking to average Bayesian predictive distributions,
        2018. https://doi.org/10.1214/17-BA1091
    """
    n = len(log_density)
    share = np.random.default_rng(0).dirichlet(np.ones(n), draws)
    return softmax(n * share @ log_density, axis=1).mean(axis=0)
