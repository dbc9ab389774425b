r"""Skills of a fitted Sloth law: what benchmarks measure, and what models and families are good at.

The law samples the effects that skills have on benchmarks, and leaves the skills out where families
also differ on single benchmarks. Given these effects the skills are normal again, as factor scores
are. With the scale of an effect divided out,

    y = Lam v + e,   v ~ Normal(0, I),   e ~ Normal(0, diag(omega)^2)
    v | y ~ Normal(V Lam' diag(omega)^-2 y, V),   V = (I + Lam' diag(omega)^-2 Lam)^-1

and v times the scale is the skill part of the effect: alpha_f of a family's intercept, beta_p of a
slope, beta_fp - beta_p of a family's own slope. Skills of models follow by the law's first line,

    theta_i = alpha_f + sum_p x_ip beta_fp

and `alignment` gives all draws the same axes.

References:
    Sloth: scaling laws for LLM skills to predict multi-benchmark performance across families,
    https://arxiv.org/abs/2412.06540
    Bartholomew, Knott and Moustaki, Latent variable models and factor analysis, section 2.3 (scores
    as conditional expectations), https://doi.org/10.1002/9781119970583
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from scalebayes import curves
from scalebayes.alignment import align
from scalebayes.laws.sloth import Sloth
from scalebayes.posterior import evenly
from scalebayes.prediction import summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from scalebayes.design import Design, Reference
    from scalebayes.posterior import Fit


@dataclass(frozen=True, eq=False)
class Skills:
    """Tables of skills, each with mean, median, sd and central intervals (lower_90, upper_90, ...).

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


@dataclass(frozen=True, eq=False)
class SkillDraws:
    """Draws of loadings and skills, on axes of their own in every draw.

    Attributes:
        lam: Loadings, shape (draw, benchmark, skill).
        theta: Skills of the models, shape (draw, model, skill).
        alpha: Effects of the families, shape (draw, family, skill).
        beta: Slopes of a typical family, shape (draw, input, skill).
    """

    lam: np.ndarray
    theta: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray

    def transformed(self, transform: np.ndarray) -> SkillDraws:
        """The same draws on other axes: T from `alignment.align`, shape (draw, skill, skill)."""
        inverse = np.linalg.inv(transform).swapaxes(1, 2)
        return SkillDraws(
            self.lam @ transform, self.theta @ inverse, self.alpha @ inverse, self.beta @ inverse
        )


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
    if not prob or not all(0 < p < 1 for p in prob):
        raise ValueError(f"prob must be probabilities between 0 and 1, but is {prob!r}")
    raw = skill_draws(fit, seed=seed, draws=draws)
    aligned = raw.transformed(align(raw.lam, raw.theta, rotation=rotation))
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
        correlations=pd.DataFrame(
            [(across, skill[k], skill[m]) for across in ("models", "families") for k, m in pairs],
            columns=["across", "skill", "with_skill"],
        ).assign(**summary(np.concatenate(correlations, axis=1).T, prob)),
    )


def skill_draws(fit: Fit, *, seed: int = 0, draws: int = 1000) -> SkillDraws:
    """Draw skills from their distribution given the effects that the law has sampled.

    Args:
        fit: A fit of `Sloth`.
        seed: Seed of the draws.
        draws: Posterior draws to use, evenly spaced; all where there are fewer.

    Returns:
        Draws that are not aligned.

    Raises:
        TypeError: If the law has no skills.
        ValueError: If `draws` is below 2.
    """
    law = fit.law
    if not isinstance(law, Sloth):
        raise TypeError(f"{type(law).__name__} has no skills: fit Sloth() to see skills")
    if draws < 2:
        raise ValueError(f"draws must be at least 2, but is {draws}")
    design, site = fit.design, _thinned(fit.tree["posterior"].to_dataset(), draws)
    family, lineage = np.asarray(design.family), np.asarray(design.lineage)
    log_d = np.tile(np.asarray(design.log_tokens, float), (len(site["lam"]), 1))
    if "log_d" in site:
        log_d[:, np.asarray(design.unknown_tokens)] = site["log_d"]
    log_n = np.broadcast_to(np.asarray(design.log_params, float), log_d.shape)
    x = _inputs(log_n, log_d, design.reference)
    # skill parts in standard units: sites of the law, or drawn given the effects
    part: dict[str, Any] = {name: site.get(f"{name}_skill") for name in ("d", "B", "z", "l")}
    if law.specific:
        part = _given_effects(design, site, np.random.default_rng(seed))

    rho = site["rho"][:, None, None] if law.lineage else 0.0
    alpha = np.sqrt(1 - rho) * part["d"]
    if law.lineage:
        alpha = alpha + (np.sqrt(rho) * part["l"])[:, lineage]
    beta = site["s"][:, None, None] * part["B"]
    beta_f = np.repeat(beta[:, None], alpha.shape[1], axis=1)
    if law.family_slopes:
        own = site["tau"][:, None, :, None] * part["z"]
        beta_f[:, :, : own.shape[2]] += own
    theta = alpha[:, family] + np.einsum("dip,dipk->dik", x, beta_f[:, family])
    return SkillDraws(site["lam"], theta, alpha, beta)


def _given_effects(
    design: Design, site: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Skill parts in standard units, drawn given the effects; each of shape (draw, ..., skill)."""
    lam, omega = site["lam"], site["omega"]
    log_n, log_d = np.asarray(design.centre).T
    x_f = _inputs(log_n, log_d, design.reference)

    part = {"B": _skill_part(site["B"] / site["s"][:, None, None], lam, omega, rng)}
    mean = site["b"][:, None] + np.einsum("fp,dpj->dfj", x_f, site["B"])
    if "z" in site:  # the law's slopes are tau R z, with R R' the covariance of y
        root = np.linalg.cholesky(lam @ lam.swapaxes(1, 2) + _diagonal(omega**2))
        own = site["z"] @ root[:, None].swapaxes(2, 3)
        n, n_family, n_own, n_benchmark = own.shape
        rows = own.reshape(n, n_family * n_own, n_benchmark)
        part["z"] = _skill_part(rows, lam, omega, rng).reshape(n, n_family, n_own, -1)
        own = site["tau"][:, None, :, None] * own
        mean = mean + np.einsum("fp,dfpj->dfj", x_f[:, :n_own], own)
    rho: np.ndarray | float = 0.0
    if "l" in site:
        rho = site["rho"][:, None, None]
        part["l"] = _skill_part(site["l"] / np.sqrt(rho), lam, omega, rng)
        mean = mean + site["l"][:, np.asarray(design.lineage)]
    part["d"] = _skill_part((site["a"] - mean) / np.sqrt(1 - rho), lam, omega, rng)
    return part


def _skill_part(
    effects: np.ndarray, lam: np.ndarray, omega: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw v given each row y of effects; the module's docstring has the equations.

    Args:
        effects: y, shape (draw, row, benchmark).
        lam: Loadings, shape (draw, benchmark, skill).
        omega: Standard deviations of what is specific, shape (draw, benchmark).
        rng: Source of the draws.

    Returns:
        v, shape (draw, row, skill).
    """
    weighted = lam / omega[:, :, None] ** 2
    precision = np.eye(lam.shape[2]) + lam.swapaxes(1, 2) @ weighted
    mean = np.linalg.solve(precision, (effects @ weighted).swapaxes(1, 2))
    noise = rng.normal(size=mean.shape)
    upper = np.linalg.cholesky(precision).swapaxes(1, 2)  # V = inv(upper) inv(upper)'
    return (mean + np.linalg.solve(upper, noise)).swapaxes(1, 2)


def _diagonal(values: np.ndarray) -> np.ndarray:
    """Diagonal matrices of the rows of values, shape (draw, n, n)."""
    return values[:, :, None] * np.eye(values.shape[1])


def _inputs(log_n: np.ndarray, log_d: np.ndarray, reference: Reference) -> np.ndarray:
    """The law's inputs x in double precision, shape (..., input)."""
    with jax.enable_x64():
        arrays = jnp.asarray(log_n), jnp.asarray(log_d)
        return np.asarray(curves.inputs(*arrays, reference.log_n0, reference.log_d0))


def _thinned(posterior: xr.Dataset, draws: int) -> dict[str, np.ndarray]:
    """Evenly spaced draws of every site, chains joined, in double precision."""
    n = posterior.sizes["chain"] * posterior.sizes["draw"]
    keep = evenly(n, min(draws, n))
    return {
        str(name): site.to_numpy().reshape(n, *site.shape[2:])[keep].astype(float)
        for name, site in posterior.data_vars.items()
    }


def _correlations(values: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """Correlation over the rows of values (draw, row, skill) of pairs, shape (draw, pair)."""
    centred = values - values.mean(axis=1, keepdims=True)
    covariance = centred.swapaxes(1, 2) @ centred
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    first, second = np.array(pairs, int).reshape(-1, 2).T
    product = sd[:, first] * sd[:, second]
    # a single family has no correlation
    return covariance[:, first, second] / np.where(product > 0, product, np.nan)


def _table(
    draws: np.ndarray, prob: Sequence[float], labels: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Tidy table of draws: one row for each combination of the labels of the dimensions."""
    rows = pd.MultiIndex.from_product(list(labels.values()), names=list(labels))
    return rows.to_frame(index=False).assign(**summary(draws.reshape(len(draws), -1).T, prob))
