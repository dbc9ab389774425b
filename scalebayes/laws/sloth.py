r"""Sloth: benchmark scores from a few latent skills, driven by parameters, tokens and family.

With model i of family f, benchmark j, skill k and inputs x_i = (log N, log D, half their product), centred:

    theta_ik = alpha_fk + sum_p x_ip beta_fpk + sum_q c_iq Gamma_qk    skills; c are covariates, if any
    eta_ij   = b_j + sum_k lam_jk theta_ik + e_ij        loadings times skills, and what is specific
    mu_ij    = gamma_j + (1 - gamma_j) link_j(eta_ij)    expected score; `scalebayes.model.curves` has the link
    y_ij     ~ Normal(mu_ij + mu'_ij sum_k lam_jk t_ik, sd_ij)    mu' is the derivative in eta

The paper estimates alpha, beta, lam and gamma as numbers, with a logistic or a neural link. Here
families are a population:

    alpha_fk ~ Normal(0, 1)               the spread of families is the unit of a skill
    beta_pk  ~ Normal(0, s^2)             population slopes
    beta_fpk ~ Normal(beta_pk, tau_p^2)   partially pooled family slopes, p = size, tokens (ours)
    Gamma_qk ~ Normal(0, s_q^2)           partially pooled effects of covariates (ours)
    e                                     like alpha, beta and Gamma, but one for each benchmark, with
                                          omega_j in place of lam_jk (ours)
    t_ik     ~ Normal(0, kappa^2)         what one model's training did to its skills, beyond size,
                                          tokens and family: its benchmarks miss together (ours)
    sd_ij^2  = mu_ij (1 - mu_ij) / items_j + sigma_j^2 + (delta_j mu'_ij)^2

Written so, loadings and slopes are known up to a rotation, and a sampler follows a thin ring with
hundreds of leapfrog steps. Two exact steps cure it. First, alpha, beta and e matter only through what
they do to the benchmarks, and that is normal again. With Sigma = Lam Lam' + diag(omega)^2:

    a_f    = b + Lam alpha_f + e_f       ~ Normal(b, Sigma)
    B_p    = Lam beta_p + e_p            ~ Normal(0, s^2 Sigma)
    B_fp   = Lam beta_fp + e_fp          ~ Normal(B_p, tau_p^2 Sigma)
    G_q    = Lam Gamma_q + e_q           ~ Normal(0, s_q^2 Sigma)
    eta_ij = a_fj + sum_p x_ip B_fpj + sum_q c_iq G_qj

So the skills are integrated out, and `scalebayes.skills.factor_scores` draws them back from their conditional
distribution. t is integrated out in `scalebayes.model.likelihoods`. Without a specific term Sigma has rank K
and the same effects are sampled as skills.

Second, only Lam Lam' is left of the loadings. A matrix of independent Normal(0, c^2) entries is
L Q with Q a rotation and L lower triangular: L_kk^2 / c^2 ~ Chi2(K - k + 1), and normal entries below
(Bartlett). So Lam = L is the same prior with the rotation taken out. The last diagonal entry keeps
both signs, which makes mirrored modes that are one and the same in all that the law says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import jax.numpy as jnp
import numpy as np
from numpyro import deterministic, plate, sample
from numpyro import distributions as dist

from scalebayes.model import curves
from scalebayes.model.law import Source
from scalebayes.model.score_law import ScoreLaw, inputs
from scalebayes.model.sites import Invariant, Site, prior, site
from scalebayes.model.specification import register

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jax import Array

    from scalebayes.model.design import Design

LENGTH = site(
    "benchmark", phrase="loadings: what skills are worth on a benchmark", informed_by="families"
)
ANGLE = site(
    "benchmark", "with",
    phrase="loadings: which benchmarks share a skill", informed_by="benchmarks",
)  # fmt: skip


@register
@dataclass(frozen=True, kw_only=True)
class Sloth(ScoreLaw):
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

    story: ClassVar[str] = __doc__ or ""
    references: ClassVar[tuple[Source, ...]] = (
        Source(
            "Sloth: scaling laws for LLM skills to predict multi-benchmark performance across families",
            "https://arxiv.org/abs/2412.06540",
        ),
        Source(
            "On the theory of statistical regression (Bartlett's decomposition)",
            "https://doi.org/10.1017/S0370164600016399",
        ),
    )
    rotated: ClassVar[tuple[str, ...]] = ("lam",)

    skills: int = 2
    specific: bool = True
    family_slopes: bool = True
    lineage: bool = False
    deviations: bool = True

    leading: ClassVar[Site] = site("leading_skill", phrase="squared leading loadings")
    loading: ClassVar[Site] = site("free_loading", phrase="free loadings")
    lam: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 1.0),
        "one sd of families moves a benchmark by about a logit; normal, as rotation-invariance asks",
        site("benchmark", "skill", phrase="loadings"),
    )
    omega: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.4, 0.5),
        "specific parts are a quarter of a logit, 0.11 to 0.56; zero (a Heywood case) is an artefact",
        site("benchmark", phrase="what is specific to a benchmark", informed_by="benchmarks"),
    )
    b: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 1.5),
        "a typical family at the median size scores anywhere between floor and ceiling",
        site("benchmark", phrase="intercept of a typical family", informed_by="families"),
    )
    s: dist.Distribution = prior(
        lambda: dist.HalfNormal(1.0),
        "a factor of 4.5 in size or tokens is worth about one sd of families, or less",
        site(phrase="spread of the slopes over skills", informed_by="skills"),
    )
    B: ClassVar[Site] = site(
        "input", "benchmark", phrase="slopes of a typical family", informed_by="inputs"
    )
    B_skill: ClassVar[Site] = site(
        "input", "skill", phrase="slopes of a typical family, times loadings", informed_by="inputs"
    )
    tau: dist.Distribution = prior(
        lambda: dist.HalfNormal(0.3),
        "slopes of families differ less than their intercepts",
        site("family_input", phrase="spread of families in slopes", informed_by="inputs"),
    )
    z: ClassVar[Site] = site(
        "family", "family_input", "benchmark",
        phrase="slopes of single families", informed_by="inputs",
    )  # fmt: skip
    z_skill: ClassVar[Site] = site(
        "family", "family_input", "skill",
        phrase="slopes of single families, times loadings", informed_by="inputs",
    )  # fmt: skip
    rho: dist.Distribution = prior(
        lambda: dist.Beta(2.0, 2.0),
        "share of family variance that is lineage: not none, not all",
        site(phrase="share of lineages in the spread of families", informed_by="lineages"),
    )
    l: ClassVar[Site] = site(  # noqa: E741
        "lineage", "benchmark", phrase="lineages", informed_by="lineages"
    )
    l_skill: ClassVar[Site] = site(
        "lineage", "skill", phrase="lineages, times loadings", informed_by="lineages"
    )
    a: ClassVar[Site] = site("family", "benchmark", phrase="intercepts of single families")
    d: ClassVar[Site] = site(
        "family", "benchmark", phrase="intercepts of single families", informed_by="scores"
    )
    d_skill: ClassVar[Site] = site(
        "family", "skill",
        phrase="intercepts of single families, times loadings", informed_by="scores",
    )  # fmt: skip
    z_q_skill: ClassVar[Site] = site(
        "covariate_level", "skill",
        phrase="effects of covariates, times loadings", informed_by="covariates",
    )  # fmt: skip
    kappa: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.5, 0.7),
        "models of a family differ from its trend less than families differ: 0.07 to 0.7 of their sd",
        site(phrase="deviations of models in all skills", informed_by="models"),
    )
    delta: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.0, 0.7),
        "luck and choices that size, tokens and family do not tell: 0.04 to 0.43 of a logit",
        site("benchmark", phrase="deviations of models on one benchmark", informed_by="models"),
    )

    def coords(self) -> dict[str, list[str]]:
        """Labels of the skills, and of the inputs whose slopes differ by family."""
        return {
            "skill": [f"skill {k + 1}" for k in range(self.skills)],
            "family_input": ["size", "tokens"],
            "leading_skill": [f"skill {k + 1}" for k in range(self.skills - 1)],
        }

    def __post_init__(self) -> None:
        """Refuse choices that mean nothing."""
        super().__post_init__()
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
        )  # a_f is sampled at its family's own inputs, covariates and level of scores, where the data are
        a_mean = b + jnp.einsum("fp,fpj->fj", x_f, B_f)
        from_f = x - x_f[design.family]
        effects = jnp.einsum("ip,ipj->ij", from_f, B_f[design.family])
        if self.covariates:
            gamma = self._covariate_rows(design, root)
            c_f = design.covariate_centre
            a_mean = a_mean + c_f @ gamma
            effects = effects + (design.covariates - c_f[design.family]) @ gamma
        if self.lineage:
            rho = sample("rho", self.rho)
            of_lineage = self._effects(
                "l", 0.0, jnp.sqrt(rho) * root, "lineage", len(design.labels("lineage"))
            )
            a_mean = a_mean + of_lineage[design.lineage]
            root = jnp.sqrt(1 - rho) * root
        to_score = self.response(design)
        at = to_score.ability(design.level) if self.specific else 0.0
        a = deterministic("a", at + self._effects("d", a_mean - at, root, "family", n_family))
        eta = a[design.family] + effects
        shared = sample("kappa", self.kappa) * lam.T if self.deviations else None
        self.observe(eta, to_score, design, shared)

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
            if self.covariates:
                signs["z_q_skill"] = last
        return signs

    def invariants(
        self, values: Mapping[str, np.ndarray], posterior: Mapping[str, np.ndarray], design: Design
    ) -> list[Invariant]:
        """Lengths of the loadings' rows and cosines of their angles; effects on skills, times loadings."""
        behind = tuple(name for name in ("loading", "leading") if name in values)
        length = np.linalg.norm(values["lam"], axis=2)
        along = values["lam"] / length[..., None]
        one, other = np.tril_indices(along.shape[1], -1)
        names = design.labels("benchmark")
        pairs = tuple(
            {"benchmark": names[j], "with": names[k]} for j, k in zip(one, other, strict=True)
        )
        cosine = (along[:, one] * along[:, other]).sum(-1)
        found = [
            Invariant("lam length", np.log(length), LENGTH, behind),
            Invariant("lam angle", cosine, ANGLE, behind, pairs),
        ]
        for own in super().invariants(values, posterior, design):
            if own.name in behind:
                continue
            if own.site.dims[-1:] == ("skill",):
                on_benchmarks = np.einsum("s...k,sjk->s...j", own.values, posterior["lam"])
                declared = replace(own.site, dims=(*own.site.dims[:-1], "benchmark"))
                own = own._replace(values=on_benchmarks, site=declared)
            found.append(own)
        return found

    def _covariate_rows(self, design: Design, root: Array) -> Array:
        """Effects of covariates, rows of Normal(0, s_q^2 root root'), shape (covariate_level, benchmark)."""
        s_q = self.covariate_scales(design)
        column = "benchmark" if self.specific else "skill"
        with (
            plate("covariate_level", s_q.shape[0], dim=-2),
            plate(column, root.shape[1], dim=-1),
        ):
            z = sample("z_q" if self.specific else "z_q_skill", dist.Normal(0.0, 1.0))
        return deterministic("Gamma", s_q[:, None] * (z @ root.T))

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
