r"""Draws of the skills of a fitted Sloth law, conditional on its sampled effects.

With specific parts, the law samples effects on benchmarks and integrates the skills out. Given these effects
the skills are normal, like factor scores. With an effect divided by its scale,

    y = Lam v + e,   v ~ Normal(0, I),   e ~ Normal(0, diag(omega)^2)
    v | y ~ Normal(V Lam' diag(omega)^-2 y, V),   V = (I + Lam' diag(omega)^-2 Lam)^-1

and v times the scale is the skill part of the effect: alpha_f of a family's intercept, beta_p of a
slope, beta_fp - beta_p of a family's own slope. Skills of models follow by the law's first line,

    theta_i = alpha_f + sum_p x_ip beta_fp + sum_q c_iq Gamma_q

and `alignment` rotates all draws to the same axes.

References:
    Sloth: scaling laws for LLM skills to predict multi-benchmark performance across families,
    https://arxiv.org/abs/2412.06540
    Bartholomew, Knott and Moustaki, Latent variable models and factor analysis, section 2.3 (scores
    as conditional expectations), https://doi.org/10.1002/9781119970583
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from scalebayes.inference.draws import evenly
from scalebayes.laws.sloth import Sloth
from scalebayes.model import curves

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from scalebayes.inference.posterior import Fit
    from scalebayes.model.design import Design, Reference


@dataclass(frozen=True, eq=False)
class SkillDraws:
    """Draws of loadings and skills, on different axes in each draw.

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


def skill_draws(fit: Fit, *, seed: int = 0, draws: int = 1000) -> SkillDraws:
    """Draw skills from their conditional distribution given the sampled effects.

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
        raise TypeError(f"{type(law).__name__} has no skills: fit Sloth()")
    if draws < 2:
        raise ValueError(f"draws must be at least 2, but is {draws}")
    design, site = fit.design, _thinned(fit.tree["posterior"].to_dataset(), draws)
    family, lineage = np.asarray(design.family), np.asarray(design.lineage)
    log_d = np.tile(np.asarray(design.log_tokens, float), (len(site["lam"]), 1))
    if "log_d" in site:
        log_d[:, np.asarray(design.unknown_tokens)] = site["log_d"]
    log_n = np.broadcast_to(np.asarray(design.log_params, float), log_d.shape)
    x = inputs(log_n, log_d, design.reference)
    # skill parts in standard units: sites of the law, or drawn given the effects
    part: dict[str, Any] = {name: site.get(f"{name}_skill") for name in ("d", "B", "z", "l", "z_q")}
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
    if law.covariates:
        gamma = site["s_q"][:, np.asarray(design.covariate_of), None] * part["z_q"]
        theta = theta + np.asarray(design.covariates) @ gamma
    return SkillDraws(site["lam"], theta, alpha, beta)


def _given_effects(
    design: Design, site: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Skill parts in standard units, drawn conditional on the effects, each of shape (draw, ..., skill)."""
    lam, omega = site["lam"], site["omega"]
    log_n, log_d = np.asarray(design.centre).T
    x_f = inputs(log_n, log_d, design.reference)

    part = {"B": _skill_part(site["B"] / site["s"][:, None, None], lam, omega, rng)}
    mean = site["b"][:, None] + np.einsum("fp,dpj->dfj", x_f, site["B"])
    root = np.linalg.cholesky(lam @ lam.swapaxes(1, 2) + _diagonal(omega**2))
    if "z" in site:  # the law's slopes are tau R z, with R R' the covariance of y
        own = site["z"] @ root[:, None].swapaxes(2, 3)
        n, n_family, n_own, n_benchmark = own.shape
        rows = own.reshape(n, n_family * n_own, n_benchmark)
        part["z"] = _skill_part(rows, lam, omega, rng).reshape(n, n_family, n_own, -1)
        own = site["tau"][:, None, :, None] * own
        mean = mean + np.einsum("fp,dfpj->dfj", x_f[:, :n_own], own)
    if "z_q" in site:  # likewise, Gamma = s_q R z_q
        part["z_q"] = _skill_part(site["z_q"] @ root.swapaxes(1, 2), lam, omega, rng)
        mean = mean + np.asarray(design.covariate_centre) @ site["Gamma"]
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
        omega: Standard deviations of specific parts, shape (draw, benchmark).
        rng: Random number generator.

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


def inputs(log_n: np.ndarray, log_d: np.ndarray, reference: Reference) -> np.ndarray:
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
