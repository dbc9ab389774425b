r"""Sloth: benchmark scores from a few latent skills, driven by parameters, tokens and family.

With model i of family f, benchmark j, skill k and inputs x_i = (log N, log D, half their product), centred:

    theta_ik = alpha_fk + sum_p x_ip beta_fpk + sum_q c_iq Gamma_qk    skills; c are covariates, if any
    eta_ij   = b_j + sum_k lam_jk theta_ik + e_ij        loadings times skills, plus a specific part
    mu_ij    = gamma_j + (1 - gamma_j) link_j(eta_ij)    expected score; `scalebayes.model.curves` has the link
    y_ij     ~ Normal(mu_ij + mu'_ij sum_k lam_jk t_ik, sd_ij)    mu' is the derivative in eta

The paper estimates alpha, beta, lam and gamma as single numbers, with a logistic or a neural link. Here
families are drawn from a population:

    alpha_fk ~ Normal(0, 1)               the spread of families is the unit of a skill
    beta_pk  ~ Normal(0, s^2)             population slopes
    beta_fpk ~ Normal(beta_pk, tau_p^2)   partially pooled family slopes, p = size, tokens (ours)
    Gamma_qk ~ Normal(0, s_q^2)           partially pooled effects of covariates (ours)
    e                                     like alpha, beta and Gamma, one per benchmark, omega_j for lam_jk (ours)
    t_ik     ~ Normal(0, kappa^2)         deviation of a model's skills from its family's trend (ours)
    sd_ij^2  = mu_ij (1 - mu_ij) / items_j + sigma_j^2 + (delta_j mu'_ij)^2

In this form loadings and slopes are identified up to a rotation, and NUTS needs hundreds of leapfrog steps. Two
exact reparametrisations avoid this. First, alpha, beta and e enter only through their effects on benchmarks,
which are normal. With Sigma = Lam Lam' + diag(omega)^2:

    a_f    = b + Lam alpha_f + e_f       ~ Normal(b, Sigma)
    B_p    = Lam beta_p + e_p            ~ Normal(0, s^2 Sigma)
    B_fp   = Lam beta_fp + e_fp          ~ Normal(B_p, tau_p^2 Sigma)
    G_q    = Lam Gamma_q + e_q           ~ Normal(0, s_q^2 Sigma)
    eta_ij = a_fj + sum_p x_ip B_fpj + sum_q c_iq G_qj

This integrates the skills out; `scalebayes.skills.factor_scores` draws them from their conditional distribution.
`scalebayes.model.likelihoods` integrates t out. Without a specific part Sigma has rank K, and the effects are
sampled on skills.

Second, the likelihood depends on the loadings through Lam Lam' only. A matrix of independent Normal(0, c^2) entries
is L Q with a rotation Q and L lower triangular: L_kk^2 / c^2 ~ Chi2(K - k + 1), with normal entries below
(Bartlett). Lam = L therefore implies the same law. The last diagonal entry keeps both signs, so that the posterior
has two equivalent modes, mirror images of each other.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import jax.numpy as jnp
import numpy as np
from numpyro import deterministic, plate, sample
from numpyro import distributions as dist

from scalebayes.model import curves, loadings
from scalebayes.model.law import Source
from scalebayes.model.score_law import ScoreLaw, inputs
from scalebayes.model.sites import Site, prior, site
from scalebayes.model.specification import register

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jax import Array

    from scalebayes.model.design import Design
    from scalebayes.model.sites import Invariant

STORY = __doc__ or ""  # in the body of a class, `__doc__` is that of the class


@register
@dataclass(frozen=True, kw_only=True)
class Sloth(ScoreLaw):
    """Latent skills with family effects, such as `Sloth(skills=3, lineage=True)`.

    Attributes:
        skills: Number of latent skills, K.
        specific: Whether families differ on single benchmarks beyond their skills.
        interaction: Whether the product of log size and log tokens is an input.
        family_slopes: Whether the slopes on size and tokens differ between families.
        lineage: Whether families of one lineage (base and instruct of a release) share part of the intercept.
        deviations: Whether a model's deviations from its family's trend are shared by its benchmarks.
        floor: `learned` around the chance level, or `known`, the chance level itself.
        ceiling: `one`, or `learned`.
        link: `monotone` with one trainable bend a benchmark, or `logistic`.

    Example:
        >>> sb.Sloth(skills=3).coords()["skill"]
        ['skill 1', 'skill 2', 'skill 3']
    """

    story: ClassVar[str] = STORY
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
    interaction: bool = True
    family_slopes: bool = True
    lineage: bool = False
    deviations: bool = True

    leading: ClassVar[Site] = site("leading_skill", phrase="squared leading loadings")
    loading: ClassVar[Site] = site("free_loading", phrase="free loadings")
    lam: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 1.0),
        "one sd of families changes a benchmark by about a logit; normal, to be rotation-invariant",
        site("benchmark", "skill", phrase="loadings"),
    )
    omega: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.4, 0.5),
        "sd of specific parts: a quarter of a logit, 0.11 to 0.56; zero (a Heywood case) is an artefact",
        site("benchmark", phrase="specific parts of benchmarks, sd", informed_by="benchmarks"),
    )
    b: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 1.5),
        "a typical family of median size scores anywhere between floor and ceiling",
        site("benchmark", phrase="intercept of a typical family", informed_by="families"),
    )
    s: dist.Distribution = prior(
        lambda: dist.HalfNormal(1.0),
        "a factor of 4.5 in size or tokens adds one sd of families or less",
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
        "slopes of families differ less than intercepts: by 0.3 sd or less",
        site("family_input", phrase="spread of families in slopes", informed_by="inputs"),
    )
    z: ClassVar[Site] = site(
        "family", "family_input", "benchmark", phrase="slopes of single families", informed_by="inputs",
    )  # fmt: skip
    z_skill: ClassVar[Site] = site(
        "family", "family_input", "skill", phrase="slopes of single families, times loadings", informed_by="inputs",
    )  # fmt: skip
    rho: dist.Distribution = prior(
        lambda: dist.Beta(2.0, 2.0),
        "share of family variance due to lineages: neither zero nor one",
        site(phrase="share of family variance due to lineages", informed_by="lineages"),
    )
    l: ClassVar[Site] = site("lineage", "benchmark", phrase="lineages", informed_by="lineages")  # noqa: E741
    l_skill: ClassVar[Site] = site(
        "lineage", "skill", phrase="lineages, times loadings", informed_by="lineages"
    )
    a: ClassVar[Site] = site("family", "benchmark", phrase="intercepts of single families")
    d: ClassVar[Site] = site(
        "family", "benchmark", phrase="intercepts of single families", informed_by="scores"
    )
    d_skill: ClassVar[Site] = site(
        "family", "skill", phrase="intercepts of single families, times loadings", informed_by="scores",
    )  # fmt: skip
    z_q_skill: ClassVar[Site] = site(
        "covariate_level", "skill", phrase="effects of covariates, times loadings", informed_by="covariates",
    )  # fmt: skip
    kappa: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.5, 0.7),
        "deviations of models are smaller than differences between families: 0.07 to 0.7 of their sd",
        site(phrase="deviations of models in all skills", informed_by="models"),
    )
    delta: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.0, 0.7),
        "variation of models that size, tokens and family do not explain: 0.04 to 0.43 of a logit",
        site("benchmark", phrase="deviations of models on one benchmark", informed_by="models"),
    )

    def coords(self) -> dict[str, list[str]]:
        """Labels of the skills, and of the inputs whose slopes differ by family."""
        return {
            "skill": [f"skill {k + 1}" for k in range(self.skills)],
            "input": ["size", "tokens", "size_x_tokens"][: 2 + self.interaction],
            "family_input": ["size", "tokens"],
            "leading_skill": [f"skill {k + 1}" for k in range(self.skills - 1)],
        }

    def __post_init__(self) -> None:
        """Check the number of skills and the prior of the loadings."""
        super().__post_init__()
        if self.skills < 1:
            raise ValueError(f"skills must be at least 1, but is {self.skills}")
        if not isinstance(self.lam, dist.Normal) or float(self.lam.loc) != 0:
            raise ValueError("the prior of lam must be Normal(0, scale), to be rotation-invariant")

    def __call__(self, design: Design) -> None:
        """Run the generative model; the module's docstring has the equations."""
        n_family, n_benchmark = design.lineage.shape[0], design.chance.shape[0]
        n_input = 2 + self.interaction
        lam = self._loadings(n_benchmark)
        with plate("benchmark", n_benchmark):
            b = sample("b", self.b)
            omega = sample("omega", self.omega) if self.specific else None
        root = lam
        if omega is not None:
            root = jnp.linalg.cholesky(lam @ lam.T + jnp.diag(omega**2))

        s = sample("s", self.s)
        B = self._effects("B", 0.0, s * root, "input", n_input)
        B_f = jnp.tile(B, (n_family, 1, 1))
        if self.family_slopes:
            with plate("family_input", 2):
                tau = sample("tau", self.tau)
            z = self._standard_effects("z", root, {"family": n_family, "family_input": 2})
            B_f = B_f.at[:, :2].add(tau[:, None] * z)

        x = inputs(design)[:, :n_input]
        centre, reference = design.centre, design.reference
        # a_f is sampled relative to its family's own inputs, covariates and level of scores
        x_f = curves.inputs(centre[:, 0], centre[:, 1], reference.log_n0, reference.log_d0)
        x_f = x_f[:, :n_input]
        a_mean = b + jnp.einsum("fp,fpj->fj", x_f, B_f)
        from_f = x - x_f[design.family]
        effects = jnp.einsum("ip,ipj->ij", from_f, B_f[design.family])
        if self.covariates:
            s_q = self.covariate_scales(design)[:, None]
            z = self._standard_effects("z_q", root, {"covariate_level": len(s_q)})
            gamma = deterministic("Gamma", s_q * z)
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
        """Loadings Lam, shape (benchmark, skill)."""
        k = self.skills
        if k > n_benchmark:
            raise ValueError(f"skills must be at most the {n_benchmark} benchmarks, but is {k}")
        with plate("free_loading", len(loadings.free_entries(n_benchmark, k)[0])):
            loading = sample("loading", self.lam)
        leading = None
        if k > 1:
            with plate("leading_skill", k - 1):
                leading = sample("leading", dist.Chi2(jnp.arange(k, 1, -1.0)))
        lam = loadings.lower_triangular(loading, leading, self.lam.scale, n_benchmark, k)
        return deterministic("lam", lam)

    def reflection(self, design: Design) -> dict[str, np.ndarray]:
        """Signs that reverse the last skill: -1 where a site changes its sign, else 1."""
        last = np.where(np.arange(self.skills) == self.skills - 1, -1.0, 1.0)
        _, column = loadings.free_entries(design.chance.shape[0], self.skills)
        used = ["B_skill", "d_skill"] + ["l_skill"] * self.lineage
        used += ["z_skill"] * self.family_slopes + ["z_q_skill"] * bool(self.covariates)
        used = [] if self.specific else used
        return {"loading": last[column], **dict.fromkeys(used, last)}

    def invariants(
        self, values: Mapping[str, np.ndarray], posterior: Mapping[str, np.ndarray], design: Design
    ) -> list[Invariant]:
        """Lengths of the rows of the loadings and the angles between them; effects on skills, times loadings."""
        behind = tuple(name for name in ("loading", "leading") if name in values)
        effects = super().invariants(values, posterior, design)
        others = [own for own in effects if own.name not in behind]
        return [
            *loadings.invariants_of_loadings(values["lam"], behind, design.labels("benchmark")),
            *(loadings.on_benchmarks(own, posterior["lam"]) for own in others),
        ]

    def _effects(
        self, name: str, mean: Array | float, root: Array, rows: str, n_rows: int
    ) -> Array:
        """Rows of Normal(mean, root root'), shape (rows, benchmark)."""
        if not self.specific:
            return mean + self._standard_effects(name, root, {rows: n_rows})
        mean = jnp.broadcast_to(mean, (n_rows, root.shape[0]))
        with plate(rows, n_rows):
            return sample(name, dist.MultivariateNormal(mean, scale_tril=root))

    def _standard_effects(self, name: str, root: Array, rows: Mapping[str, int]) -> Array:
        """Rows of Normal(0, root root') from standard normal draws, shape (*rows, benchmark)."""
        column = "benchmark" if self.specific else "skill"
        with contextlib.ExitStack() as plates:
            for dim, (label, n) in enumerate(rows.items(), -1 - len(rows)):
                plates.enter_context(plate(label, n, dim=dim))
            plates.enter_context(plate(column, root.shape[1], dim=-1))
            z = sample(name if self.specific else f"{name}_skill", dist.Normal(0.0, 1.0))
        return z @ root.T
