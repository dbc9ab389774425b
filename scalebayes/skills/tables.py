"""Skills of a fitted Sloth law: tables of what benchmarks measure, and what families are good at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalebayes.prediction.predictive import summary
from scalebayes.skills.alignment import align
from scalebayes.skills.factor_scores import SkillDraws, inputs, skill_draws

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.inference.posterior import Fit


@dataclass(frozen=True, eq=False)
class Skills:
    """Tables of skills, each with mean, median, sd and central intervals (lower_90, upper_90, ...).

    The `attrs` of each tell the number of draws.

    A skill has standard deviation one over the models, and is zero at a typical family of median
    size and tokens; abilities on benchmarks, on the logit scale, are a constant plus loadings times
    skills plus what is specific.

    Attributes:
        rotation: Name of the rotation.
        loadings: benchmark, skill: what one sd of the skill adds to the ability on the benchmark.
        models: model, family, skill: the skills of each model, from its family, size and tokens.
        families: family, skill: what the family adds at equal size and tokens.
        slopes: input, skill: gain from one unit of an input (`curves.LOG_UNIT`), in a typical
            family.
        correlations: across, skill, with_skill: correlation of two skills `across` models, and of
            the effects of families `across` families. Over the models it is what the rotation has
            set, the same in every draw (zero if orthogonal).
    """

    rotation: str
    loadings: pd.DataFrame = field(repr=False)
    models: pd.DataFrame = field(repr=False)
    families: pd.DataFrame = field(repr=False)
    slopes: pd.DataFrame = field(repr=False)
    correlations: pd.DataFrame = field(repr=False)


def skills(
    fit: Fit,
    *,
    rotation: str = "oblimin",
    prob: Sequence[float] = (0.5, 0.9),
    seed: int = 0,
    draws: int = 1000,
) -> Skills:
    """Loadings, and the skills of models and families, with intervals.

    Args:
        fit: A fit of `Sloth`.
        rotation: `oblimin` or `promax`, where skills may be correlated, `varimax` or `quartimax`,
            where they are not.
        prob: Probabilities of the central intervals.
        seed: Seed of the skills that are drawn given their effects.
        draws: Posterior draws to use, evenly spaced; all where there are fewer.

    Returns:
        Tables with one row a label and skill. Skills come in the order of how much they explain,
        and load positively on the whole.

    Raises:
        TypeError: If the law has no skills.
        ValueError: If an argument is out of range, or the models cannot tell the skills apart.
    """
    aligned = _aligned(fit, rotation, prob, seed, draws)
    design, skill = fit.design, fit.law.coords()["skill"]
    model, family = design.labels("model"), design.labels("family")
    models = _table(aligned.theta, prob, {"model": model, "skill": skill})
    of_family = np.repeat([family[f] for f in np.asarray(design.family)], len(skill))
    models.insert(1, "family", of_family)
    pairs = [(k, m) for k in range(len(skill)) for m in range(k + 1, len(skill))]
    correlations = [_correlations(values, pairs) for values in (aligned.theta, aligned.alpha)]
    return Skills(
        rotation=rotation,
        loadings=_table(
            aligned.lam, prob, {"benchmark": design.labels("benchmark"), "skill": skill}
        ),
        models=models,
        families=_table(aligned.alpha, prob, {"family": family, "skill": skill}),
        slopes=_table(aligned.beta, prob, {"input": design.labels("input"), "skill": skill}),
        correlations=_summarised(
            pd.DataFrame(
                [(over, skill[k], skill[m]) for over in ("models", "families") for k, m in pairs],
                columns=["across", "skill", "with_skill"],
            ),
            np.concatenate(correlations, axis=1),
            prob,
        ),
    )


def skill_levels(
    fit: Fit,
    *,
    params: tuple[float, float] | None = None,
    tokens: tuple[float, float] | None = None,
    points: int = 40,
    rotation: str = "oblimin",
    prob: Sequence[float] = (0.5, 0.9),
    seed: int = 0,
    draws: int = 1000,
) -> pd.DataFrame:
    """Skills of a typical family over size and tokens, sum_p x_p beta_p.

    Args:
        fit: A fit of `Sloth`.
        params: Smallest and largest size N, a count; by default those of the models of the fit.
        tokens: Fewest and most training tokens D, likewise.
        points: Points along each of N and D, evenly spaced in their logarithms.
        rotation: As in `skills`; likewise prob, seed and draws, which give the same axes there.
        prob: Probabilities of the central intervals.
        seed: Seed of the skills that are drawn given their effects.
        draws: Posterior draws to use.

    Returns:
        One row a point and skill: params, tokens, skill, mean, median, sd, lower_p and upper_p, in sd of the
        skill over the models.

    Raises:
        TypeError: If the law has no skills.
        ValueError: As for `skills`, or if a range is not one.
    """
    beta = _aligned(fit, rotation, prob, seed, draws).beta
    axes = {}
    for name, ends in (("params", params), ("tokens", tokens)):
        known = fit.observations.models[name]
        low, high = ends or (known.min(), known.max())
        if not 0 < low < high < np.inf:
            raise ValueError(
                f"{name} must be two positive counts, the smaller one first, but is {(low, high)}"
            )
        axes[name] = np.geomspace(low, high, points)
    log_n, log_d = np.log(np.meshgrid(*axes.values(), indexing="ij"))
    x = inputs(log_n.ravel(), log_d.ravel(), fit.design.reference)
    return _table(x @ beta, prob, axes | {"skill": fit.law.coords()["skill"]})


def _aligned(fit: Fit, rotation: str, prob: Sequence[float], seed: int, draws: int) -> SkillDraws:
    """Draws of skills on the same axes; for the arguments see `skills`."""
    if not prob or not all(0 < p < 1 for p in prob):
        raise ValueError(f"prob must be probabilities between 0 and 1, but is {prob!r}")
    raw = skill_draws(fit, seed=seed, draws=draws)
    return raw.transformed(align(raw.lam, raw.theta, rotation=rotation))


def _correlations(values: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """Correlation over the rows of values (draw, row, skill) of pairs, shape (draw, pair)."""
    centred = values - values.mean(axis=1, keepdims=True)
    covariance = centred.swapaxes(1, 2) @ centred
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    first, second = np.array(pairs, int).reshape(-1, 2).T
    product = sd[:, first] * sd[:, second]
    # a single family has no correlation
    return covariance[:, first, second] / np.where(product > 0, product, np.nan)


def _table(draws: np.ndarray, prob: Sequence[float], labels: Mapping[str, Any]) -> pd.DataFrame:
    """Tidy table of draws: one row for each combination of the labels of the dimensions."""
    rows = pd.MultiIndex.from_product(list(labels.values()), names=list(labels))
    return _summarised(rows.to_frame(index=False), draws.reshape(len(draws), -1), prob)


def _summarised(rows: pd.DataFrame, draws: np.ndarray, prob: Sequence[float]) -> pd.DataFrame:
    """Rows with what their draws, shape (draw, row), come to; `attrs` tells the number of draws."""
    table = rows.assign(**summary(draws.T, prob))
    table.attrs["draws"] = len(draws)
    return table
