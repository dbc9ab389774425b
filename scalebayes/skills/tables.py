"""Tables of the skills of a fitted Sloth law: loadings, and skills of models and families."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalebayes.prediction.predictive import summary
from scalebayes.prediction.reliability import checked
from scalebayes.skills.alignment import align
from scalebayes.skills.factor_scores import SkillDraws, inputs, skill_draws

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.inference.posterior import Fit


@dataclass(frozen=True, eq=False)
class Skills:
    """Tables of skills, each with mean, median, sd and central intervals (lower_90, upper_90, ...).

    The `attrs` of each hold the number of draws.

    A skill has standard deviation one over the models, and is zero for a typical family of median size and
    tokens. Abilities on benchmarks, on the logit scale, are a constant plus loadings times skills plus a specific
    part.

    Attributes:
        rotation: Name of the rotation.
        loadings: benchmark, skill: effect of one sd of the skill on the ability on the benchmark, in logits.
        models: model, family, skill: the skills of each model, from its family, size and tokens.
        families: family, skill: effect of the family at equal size and tokens.
        slopes: input, skill: gain from one unit of an input (`curves.LOG_UNIT`), in a typical
            family.
        correlations: across, skill, with_skill: correlation of two skills `across` models, and of
            family effects `across` families. Over the models it is set by the rotation, and equal in every draw
            (zero if orthogonal).
    """

    rotation: str
    loadings: pd.DataFrame = field(repr=False)
    models: pd.DataFrame = field(repr=False)
    families: pd.DataFrame = field(repr=False)
    slopes: pd.DataFrame = field(repr=False)
    correlations: pd.DataFrame = field(repr=False)


@checked
def skills(
    fit: Fit,
    *,
    rotation: str = "oblimin",
    prob: Sequence[float] = (0.5, 0.9),
    seed: int = 0,
    draws: int = 1000,
) -> Skills:
    """Estimate loadings, and the skills of models and families, with intervals.

    Args:
        fit: A fit of `Sloth`.
        rotation: `oblimin` or `promax`, for correlated skills, `varimax` or `quartimax`, for uncorrelated ones.
        prob: Probabilities of the central intervals.
        seed: Seed of the draws of skills given the sampled effects.
        draws: Posterior draws to use, evenly spaced; all where there are fewer.

    Returns:
        Tables with one row per label and skill. Skills are in the order of explained variance, and their
        loadings have positive sums.

    Raises:
        TypeError: If the law has no skills.
        ValueError: If an argument is out of range, or the skills of the models span too few dimensions.

    Example:
        >>> found = sb.skills.skills(fit, draws=100)
        >>> list(found.loadings.columns)
        ['benchmark', 'skill', 'mean', 'median', 'sd', 'lower_50', 'upper_50', 'lower_90', 'upper_90']

    References:
        Sloth: scaling laws for LLM skills to predict multi-benchmark performance across families,
        https://arxiv.org/abs/2412.06540
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


@checked
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
    """Estimate the skills of a typical family over size and tokens, sum_p x_p beta_p.

    Args:
        fit: A fit of `Sloth`.
        params: Smallest and largest size N, a count; by default those of the models of the fit.
        tokens: Smallest and largest number of training tokens D, likewise.
        points: Points along each of N and D, evenly spaced in their logarithms.
        rotation: As in `skills`; equal rotation, seed and draws give equal axes.
        prob: Probabilities of the central intervals.
        seed: Seed of the draws of skills given the sampled effects.
        draws: Posterior draws to use.

    Returns:
        One row per point and skill: params, tokens, skill, mean, median, sd, lower_p and upper_p, in sd of the
        skill over the models.

    Raises:
        TypeError: If the law has no skills.
        ValueError: As for `skills`, or if the ends of a range are not two increasing positive counts.

    Example:
        >>> levels = sb.skills.skill_levels(fit, points=3, draws=100)
        >>> len(levels)  # 3 sizes, 3 token counts, 2 skills
        18
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
    # undefined for a single family
    return covariance[:, first, second] / np.where(product > 0, product, np.nan)


def _table(draws: np.ndarray, prob: Sequence[float], labels: Mapping[str, Any]) -> pd.DataFrame:
    """Tidy table of draws: one row for each combination of the labels of the dimensions."""
    rows = pd.MultiIndex.from_product(list(labels.values()), names=list(labels))
    return _summarised(rows.to_frame(index=False), draws.reshape(len(draws), -1), prob)


def _summarised(rows: pd.DataFrame, draws: np.ndarray, prob: Sequence[float]) -> pd.DataFrame:
    """Rows with summaries of their draws, shape (draw, row); `attrs` holds the number of draws."""
    table = rows.assign(**summary(draws.T, prob))
    table.attrs["draws"] = len(draws)
    return table
