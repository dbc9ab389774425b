r"""Sloth: benchmark scores from a few latent skills, driven by parameters, tokens and family.

With model i of family f, benchmark j, skill k and inputs x_i = (log N, log D, half their product), centred:

    theta_ik = alpha_fk + sum_p x_ip beta_fpk            skills
    eta_ij   = b_j + sum_k lam_jk theta_ik + e_ij        loadings times skills, and what is specific
    mu_ij    = gamma_j + (1 - gamma_j) link_j(eta_ij)    expected score; `scalebayes.model.curves` has the link
    y_ij     ~ Normal(mu_ij + mu'_ij sum_k lam_jk t_ik, sd_ij)    mu' is the derivative in eta

The paper estimates alpha, beta, lam and gamma as numbers, with a logistic or a neural link. Here
families are a population:

    alpha_fk ~ Normal(0, 1)               the spread of families is the unit of a skill
    beta_pk  ~ Normal(0, s^2)             population slopes
    beta_fpk ~ Normal(beta_pk, tau_p^2)   partially pooled family slopes, p = size, tokens (ours)
    e                                     like alpha and beta, but one for each benchmark, with omega_j
                                          in place of lam_jk (ours)
    t_ik     ~ Normal(0, kappa^2)         what one model's training did to its skills, beyond size,
                                          tokens and family: its benchmarks miss together (ours)
    sd_ij^2  = mu_ij (1 - mu_ij) / items_j + sigma_j^2 + (delta_j mu'_ij)^2

Written so, loadings and slopes are known up to a rotation, and a sampler follows a thin ring with
hundreds of leapfrog steps. Two exact steps cure it. First, alpha, beta and e matter only through what
they do to the benchmarks, and that is normal again. With Sigma = Lam Lam' + diag(omega)^2:

    a_f    = b + Lam alpha_f + e_f       ~ Normal(b, Sigma)
    B_p    = Lam beta_p + e_p            ~ Normal(0, s^2 Sigma)
    B_fp   = Lam beta_fp + e_fp          ~ Normal(B_p, tau_p^2 Sigma)
    eta_ij = a_fj + sum_p x_ip B_fpj

So the skills are integrated out, and `scalebayes.skills.factor_scores` draws them back from their conditional
distribution. t is integrated out in `scalebayes.model.likelihoods`. Without a specific term Sigma has rank K
and the same effects are sampled as skills.

Second, only Lam Lam' is left of the loadings. A matrix of independent Normal(0, c^2) entries is
L Q with Q a rotation and L lower triangular: L_kk^2 / c^2 ~ Chi2(K - k + 1), and normal entries below
(Bartlett). So Lam = L is the same prior with the rotation taken out. The last diagonal entry keeps
both signs, which makes mirrored modes that are one and the same in all that the law says.

References:
    Sloth: scaling laws for LLM skills to predict multi-benchmark performance across families,
    https://arxiv.org/abs/2412.06540
    On the theory of statistical regression (Bartlett's decomposition),
    https://doi.org/10.1017/S0370164600016399
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from numpyro import deterministic, plate, sample
from numpyro import distributions as dist

from scalebayes.model import curves
from scalebayes.model.law import check, prior
from scalebayes.model.response import inputs, observe, response

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.model.design import Design


@dataclass(frozen=True)
class Sloth:
    """Latent skills with family effects.

    Attributes:
        skills: Number of latent skills, K.
        specific: Whether families differ on single benchmarks beyond what skills explain.
        family_slopes: Whether families differ in how much they gain from size and tokens.
        lineage: Whether families of one lineage (base and instruct of a release) share a part of
            their intercept.
        deviations: Whether a model deviates from its family's trend on all benchmarks together.
        floor: `learned` around the chance level, or `known`, the chance level itself.
        ceiling: `one`, or `learned`.
        link: `monotone` with one trainable bend a benchmark, or `logistic`.
    """

    skills: int = 2
    specific: bool = True
    family_slopes: bool = True
    lineage: bool = False
    deviations: bool = True
    floor: Literal["learned", "known"] = "learned"
    ceiling: Literal["one", "learned"] = "one"
    link: Literal["monotone", "logistic"] = "monotone"

    b: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 1.5),
        "a typical family at the median size scores anywhere between floor and ceiling",
    )
    lam: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 1.0),
        "one sd of families moves a benchmark by about a logit; normal, as rotation-invariance asks",
    )
    omega: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.4, 0.5),
        "specific parts are a quarter of a logit, 0.11 to 0.56; zero (a Heywood case) is an artefact",
    )
    s: dist.Distribution = prior(
        lambda: dist.HalfNormal(1.0),
        "a factor of 4.5 in size or tokens is worth about one sd of families, or less",
    )
    tau: dist.Distribution = prior(
        lambda: dist.HalfNormal(0.3), "slopes of families differ less than their intercepts"
    )
    rho: dist.Distribution = prior(
        lambda: dist.Beta(2.0, 2.0), "share of family variance that is lineage: not none, not all"
    )
    gamma: dist.Distribution | None = prior(
        lambda: None,
        "none: Beta around the known chance level, worth 150 items; Beta(1, 9) where it is unknown",
    )
    u: dist.Distribution = prior(
        lambda: dist.Beta(19.0, 1.0),
        "label errors put some 5% of the room above the floor out of reach",
    )
    bend: dist.Distribution = prior(
        lambda: dist.LogNormal(-0.5, 0.8),
        "logistic, the published link, is well inside; below one where the last errors go slowly",
    )
    sigma: dist.Distribution = prior(
        lambda: dist.LogNormal(-5.0, 0.2),
        "prompts and harness versions move a score by two thirds of a point, 0.5 to 0.9; more is delta's",
    )
    delta: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.0, 0.7),
        "luck and choices that size, tokens and family do not tell: 0.04 to 0.43 of a logit",
    )
    kappa: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.5, 0.7),
        "models of a family differ from its trend less than families differ: 0.07 to 0.7 of their sd",
    )

    dims: ClassVar[dict[str, tuple[str, ...]]] = {
        "leading": ("leading_skill",),
        "loading": ("free_loading",),
        "lam": ("benchmark", "skill"),
        "omega": ("benchmark",),
        "b": ("benchmark",),
        "s": (),
        "B": ("input", "benchmark"),
        "B_skill": ("input", "skill"),
        "tau": ("family_input",),
        "z": ("family", "family_input", "benchmark"),
        "z_skill": ("family", "family_input", "skill"),
        "rho": (),
        "l": ("lineage", "benchmark"),
        "l_skill": ("lineage", "skill"),
        "a": ("family", "benchmark"),
        "d": ("family", "benchmark"),
        "d_skill": ("family", "skill"),
        "log_d": ("model_without_tokens",),
        "gamma": ("benchmark",),
        "u": ("benchmark",),
        "bend": ("benchmark",),
        "sigma": ("benchmark",),
        "delta": ("benchmark",),
        "kappa": (),
        "mu": ("model", "benchmark"),
        "score": ("score_obs",),
    }

    def coords(self) -> dict[str, list[str]]:
        """Labels of the skills, and of the inputs whose slopes differ by family."""
        return {
            "skill": [f"skill {k + 1}" for k in range(self.skills)],
            "family_input": ["size", "tokens"],
            "leading_skill": [f"skill {k + 1}" for k in range(self.skills - 1)],
        }

    def __post_init__(self) -> None:
        """Refuse choices that mean nothing."""
        check(self)
        if self.skills < 1:
            raise ValueError(f"a law needs at least one skill, but skills is {self.skills}")
        if not isinstance(self.lam, dist.Normal) or float(self.lam.loc) != 0:
            raise ValueError("the prior of lam must be Normal(0, scale): others prefer a rotation")

    def __call__(self, design: Design) -> None:
        """Tell the generative story; the module's docstring has the equations."""
        n_family, n_benchmark = design.lineage.shape[0], design.chance.shape[0]
        lam = self._loadings(n_benchmark)
        with plate("benchmark", n_benchmark):
            b = sample("b", self.b)
        root = lam
        if self.specific:
            with plate("benchmark", n_benchmark):
                omega = sample("omega", self.omega)
            root = jnp.linalg.cholesky(lam @ lam.T + jnp.diag(omega**2))

        s = sample("s", self.s)
        B = self._effects("B", 0.0, s * root, "input", 3)
        B_f = jnp.tile(B, (n_family, 1, 1))
        if self.family_slopes:
            B_f = B_f.at[:, :2].add(self._family_slopes(root, n_family))

        x = inputs(design)
        x_f = curves.inputs(
            design.centre[:, 0],
            design.centre[:, 1],
            design.reference.log_n0,
            design.reference.log_d0,
        )  # a_f is sampled at its family's own size, tokens and level of scores, where the data are
        a_mean = b + jnp.einsum("fp,fpj->fj", x_f, B_f)
        if self.lineage:
            rho = sample("rho", self.rho)
            of_lineage = self._effects(
                "l", 0.0, jnp.sqrt(rho) * root, "lineage", len(design.labels("lineage"))
            )
            a_mean = a_mean + of_lineage[design.lineage]
            root = jnp.sqrt(1 - rho) * root
        to_score = response(design, self)
        at = to_score.ability(design.level) if self.specific else 0.0
        a = deterministic("a", at + self._effects("d", a_mean - at, root, "family", n_family))
        from_f = x - x_f[design.family]
        eta = a[design.family] + jnp.einsum("ip,ipj->ij", from_f, B_f[design.family])
        shared = sample("kappa", self.kappa) * lam.T if self.deviations else None
        observe(eta, to_score, design, self, shared)

    def _loadings(self, n_benchmark: int) -> Array:
        """Loadings, shape (benchmark, skill): lower triangular, the rotation taken out."""
        k = self.skills
        if k > n_benchmark:
            raise ValueError(f"{k} skills cannot be told apart by {n_benchmark} benchmarks")
        row, column = self._free(n_benchmark)
        with plate("free_loading", len(row)):
            loading = sample("loading", self.lam)
        lam = jnp.zeros((n_benchmark, k)).at[row, column].set(loading)
        if k > 1:
            with plate("leading_skill", k - 1):
                leading = sample("leading", dist.Chi2(jnp.arange(k, 1, -1.0)))
            diagonal = np.arange(k - 1)
            lam = lam.at[diagonal, diagonal].set(self.lam.scale * jnp.sqrt(leading))
        return deterministic("lam", lam)

    def _free(self, n_benchmark: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the normal entries of the loadings."""
        row, column = np.tril_indices(n_benchmark, 0, self.skills)
        free = (row != column) | (row == self.skills - 1)
        return row[free], column[free]

    def reflection(self, design: Design) -> dict[str, np.ndarray]:
        """Reverse the last skill: -1 where a site changes sign with it, else 1."""
        n_benchmark, last = design.chance.shape[0], np.ones(self.skills)
        last[-1] = -1
        _, column = self._free(n_benchmark)
        signs = {"loading": last[column]}
        if not self.specific:
            signs["B_skill"] = signs["d_skill"] = last
            if self.lineage:
                signs["l_skill"] = last
            if self.family_slopes:
                signs["z_skill"] = last
        return signs

    def _effects(
        self, name: str, mean: Array | float, root: Array, rows: str, n_rows: int
    ) -> Array:
        """Rows of Normal(mean, root root'), shape (rows, benchmark)."""
        if self.specific:
            mean = jnp.broadcast_to(mean, (n_rows, root.shape[0]))
            with plate(rows, n_rows):
                return sample(name, dist.MultivariateNormal(mean, scale_tril=root))
        with plate(rows, n_rows, dim=-2), plate("skill", self.skills, dim=-1):
            return mean + sample(f"{name}_skill", dist.Normal(0.0, 1.0)) @ root.T

    def _family_slopes(self, root: Array, n_family: int) -> Array:
        """Deviations of the families' slopes, shape (family, family_input, benchmark)."""
        with plate("family_input", 2):
            tau = sample("tau", self.tau)
        column = "benchmark" if self.specific else "skill"
        with (
            plate("family", n_family, dim=-3),
            plate("family_input", 2, dim=-2),
            plate(column, root.shape[1], dim=-1),
        ):
            z = sample("z" if self.specific else "z_skill", dist.Normal(0.0, 1.0))
        return tau[:, None] * (z @ root.T)
