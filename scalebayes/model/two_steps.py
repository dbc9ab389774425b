"""The parts that every law with losses in the middle shares: from curves to losses to abilities."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logit
from numpyro import deterministic, plate, sample
from numpyro import distributions as dist

from scalebayes.model import curves
from scalebayes.model.law import check, prior
from scalebayes.model.likelihoods import Noisy
from scalebayes.model.response import log_tokens

if TYPE_CHECKING:
    from jax import Array

    from scalebayes.model.design import Design

STRETCHES = (1.0, 1.0, 2.0, 2.0)
"""Decades of FLOPs, either side of the middle, over each of which a discrepancy has one slope."""

KNOTS = tuple(end - length / 2 for end, length in zip((1.0, 2.0, 4.0, 6.0), STRETCHES, strict=True))
"""The middle of each stretch."""


class Place(NamedTuple):
    """Where models stand, from the middle of those that the fit has seen.

    Attributes:
        inputs: log N and log D, shape (model, 2).
        compute: log C, shape (model,).
        away: Basis of a discrepancy, see `away`, shape (model, knot).
    """

    inputs: Array
    compute: Array
    away: Array


class Curve(NamedTuple):
    """Step 1 without what it leaves out.

    Attributes:
        log_loss: Log loss, shape (model, domain).
        worth: What one more unit of log C does to it, negative, shape (domain,).
        noisier: Factor of the noise of single losses, shape (model, 1), or 1.
    """

    log_loss: Array
    worth: Array
    noisier: Array | float = 1.0


class Drive(NamedTuple):
    """Losses as step 2 sees them: observed ones as they are, the others as step 1 has them.

    Attributes:
        relative: Losses as multiples of L0, shape (model, domain).
        own: Standard deviation of the log of each, zero where observed, shape (model, domain).
        shared: What a model's shared deviation does to the log of each, zero where observed, shape
            (deviation, model, domain).
    """

    relative: Array
    own: Array
    shared: Array


@dataclass(frozen=True)
class TwoSteps:
    """A law from inputs to losses to accuracy; its parts that do not depend on the curves.

    A law adds the curves: `_curve`, which tells the losses, and `_scores`, which the losses tell.

    Attributes:
        checkpoints: Whether models of one run are checkpoints of it.
        floor: `learned` around the chance level, or `known`, the chance level itself.
        ceiling: `one`, or `learned`.
        link: `logistic`, or `monotone` with one trainable bend a benchmark.
    """

    checkpoints: bool = False
    floor: Literal["learned", "known"] = "learned"
    ceiling: Literal["one", "learned"] = "one"
    link: Literal["monotone", "logistic"] = "logistic"

    level: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.3), "a loss at (N0, D0) is near the median loss of the table"
    )
    s: dist.Distribution = prior(
        lambda: dist.LogNormal(-5.5, 0.7),
        "single losses of a run lie within half a percent of the rest",
    )
    kappa: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.3, 0.7),
        "luck and settings of a run are worth a tenth of its compute",
    )
    tame: dist.Distribution = prior(
        lambda: dist.Gamma(2.0, 2.0),
        "a few runs went wrong: deviations have the tails of Student's t with 4 degrees of freedom",
    )
    G: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.2, 0.7),
        "two decades away from the middle compute is worth 4 to 70% more or less than the curves say",
    )
    t: dist.Distribution = prior(
        lambda: dist.LogNormal(-6.0, 0.7),
        "there a single loss has left its curve by another 0.1 to 1.6 percent",
    )
    tau: dist.Distribution = prior(
        lambda: dist.LogNormal(-2.5, 0.5),
        "families differ by a twelfth in a loss, 0.03 to 0.2; zero is an artefact of few families",
    )
    b: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.5),
        "at the median loss a benchmark scores near its median, up to half a logit off",
    )
    omega: dist.Distribution = prior(
        lambda: dist.LogNormal(-1.6, 0.5),
        "families differ by 0.08 to 0.5 of a logit at the same loss",
    )
    h: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.0, 0.7),
        "two decades away from the middle accuracy has left its curve by 0.02 to 0.3 of a logit",
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
    phi: dist.Distribution = prior(
        lambda: dist.Beta(2.0, 4.0), "models fail on the same items, more or less"
    )
    sigma: dist.Distribution = prior(
        lambda: dist.LogNormal(-6.0, 0.5),
        "evaluations of one code base agree within a quarter point",
    )
    delta: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.5, 0.8), "luck of a run: 0.006 to 0.15 of a logit"
    )
    nu: dist.Distribution = prior(
        lambda: dist.LogNormal(-3.0, 0.5), "what the checkpoints of one run share: likewise"
    )
    undecayed: dist.Distribution = prior(
        lambda: dist.Normal(0.0, 0.3),
        "a checkpoint under training is up to 0.6 of a logit off a finished run of its loss",
    )

    dims: ClassVar[dict[str, tuple[str, ...]]] = {
        "level": ("domain",),
        "s": ("domain",),
        "kappa": (),
        "tame": ("model",),
        "G": (),
        "G_at": ("knot",),
        "t": ("domain",),
        "g_at": ("knot", "domain"),
        "tau": (),
        "level_f": ("family", "domain"),
        "b": ("benchmark",),
        "omega": (),
        "b_f": ("family", "benchmark"),
        "h": (),
        "h_at": ("knot", "benchmark"),
        "log_d": ("model_without_tokens",),
        "gamma": ("benchmark",),
        "u": ("benchmark",),
        "bend": ("benchmark",),
        "phi": (),
        "sigma": ("benchmark",),
        "delta": ("benchmark",),
        "nu": ("benchmark",),
        "z_run": ("run", "benchmark"),
        "undecayed": ("benchmark",),
        "log_L": ("model", "domain"),
        "mu": ("model", "benchmark"),
        "loss": ("loss_obs",),
        "score": ("score_obs",),
    }

    def __post_init__(self) -> None:
        """Refuse choices that mean nothing."""
        check(self)

    def coords(self) -> dict[str, list[str]]:
        """Labels of the knots of a discrepancy."""
        return {"knot": [f"{side}{k:g}" for side in "+-" for k in KNOTS]}

    def reflection(self, design: Design) -> dict[str, np.ndarray]:
        """No mirrored modes."""
        return {}

    def __call__(self, design: Design) -> None:
        """Tell the generative story; the docstring of the law's module has the equations."""
        if len(design.labels("run")) < len(design.labels("model")) and not self.checkpoints:
            raise ValueError(
                "the observations hold several checkpoints of one run, which err together: choose "
                "checkpoints=True, or keep the last of each run"
            )
        log_d, middle = log_tokens(design), design.reference.middle
        compute = design.log_params + log_d + design.log_per_nd - middle[2]
        inputs = jnp.stack([design.log_params - middle[0], log_d - middle[1]], axis=-1)
        place = Place(inputs, compute, away(compute / np.log(10.0))[0])
        losses = self._losses(design, self._curve(design, place), place)
        if design.labels("benchmark"):
            self._scores(design, drive(design, losses), place)

    def _curve(self, design: Design, place: Place) -> Curve:
        """Step 1: what size, tokens and family tell of losses."""
        raise NotImplementedError

    def _scores(self, design: Design, losses: Drive, place: Place) -> None:
        """Step 2: what losses tell of scores; registers mu and score."""
        raise NotImplementedError

    def _losses(self, design: Design, curve: Curve, place: Place) -> Noisy:
        """The distribution of the logs of losses around their curves and levels."""
        n_domain = len(design.labels("domain"))
        with plate("domain", n_domain):
            level, s, t = (sample(k, getattr(self, k)) for k in ("level", "s", "t"))
        tau = sample("tau", self.tau)
        with plate("family", design.lineage.shape[0], dim=-2), plate("domain", n_domain, dim=-1):
            level_f = sample("level_f", dist.Normal(level, tau))
        # a run or a scale that is worth more compute than another shows it in all its losses
        kappa, G = sample("kappa", self.kappa), sample("G", self.G)
        with plate("model", design.final.shape[0]):
            tame = sample("tame", self.tame)
        more = bends("G_at", G, design, place)[:, None] * curve.worth
        left_out = more + bends("g_at", t, design, place, "domain")
        expected = deterministic(
            "log_L",
            design.reference.log_loss0 + level_f[design.family] + curve.log_loss + left_out,
        )
        cell = design.loss_model, design.loss_domain
        fitted = jnp.asarray(design.loss_observed) & jnp.asarray(design.final)[cell[0]]
        sd = jnp.broadcast_to(s * curve.noisier, expected.shape)
        of_run = kappa / jnp.sqrt(tame)[:, None] * curve.worth * curve.noisier
        shared = jnp.broadcast_to(of_run, (1, *expected.shape))
        losses = Noisy(expected, sd, shared, cell, fitted)
        sample("loss", losses, obs=design.log_loss)
        return losses

    def _intercepts(self, design: Design) -> Array:
        """Ability at the loss L0, near that of a median score, shape (model, benchmark)."""
        n_benchmark = len(design.labels("benchmark"))
        with plate("benchmark", n_benchmark):
            b = sample("b", self.b)
        omega = sample("omega", self.omega)
        with (
            plate("family", design.lineage.shape[0], dim=-2),
            plate("benchmark", n_benchmark, dim=-1),
        ):
            b_f = sample("b_f", dist.Normal(b, omega))
        return logit(design.reference.typical) + b_f[design.family]

    def _left_out(self, design: Design, decades: Array) -> tuple[Array, Array]:
        """What the curves of step 2 leave out, with what checkpoints share, and its slope.

        Args:
            design: The data.
            decades: Distance from the middle, shape (model, benchmark) or (model, 1).
        """
        n_benchmark, scale = len(design.labels("benchmark")), sample("h", self.h)
        with plate("knot", 2 * len(KNOTS), dim=-2), plate("benchmark", n_benchmark, dim=-1):
            at = scale * sample("h_at", dist.Normal(0.0, 1.0))
        left_out, slope = ((basis * at.T).sum(axis=-1) for basis in away(decades))
        if not self.checkpoints:
            return left_out, slope
        with plate("benchmark", n_benchmark):
            nu, undecayed = sample("nu", self.nu), sample("undecayed", self.undecayed)
        with (
            plate("run", len(design.labels("run")), dim=-2),
            plate("benchmark", n_benchmark, dim=-1),
        ):
            z = sample("z_run", dist.Normal(0.0, 1.0))
        under_training = jnp.where(design.final[:, None], 0.0, undecayed)
        return left_out + nu * z[design.run] + under_training, slope

    def _of_one_loss(
        self, design: Design, losses: Drive, k: Array, feature: str
    ) -> tuple[Array, Array, Array]:
        """Abilities b - k (L/L0 - 1) + h of benchmarks that one loss each drives.

        Args:
            design: The data.
            losses: What drives step 2.
            k: How much ability a loss is worth, shape (benchmark,).
            feature: `task`, for each benchmark the domain of its name, or the name of one for all.

        Returns:
            Abilities (model, benchmark), and their deviations as `scores.observe` takes them: `shared`
            (deviation, model, benchmark) and `own` (model, benchmark).
        """
        of = domain_of_benchmark(design, feature)
        relative, per_decade = losses.relative[:, of], design.reference.per_decade[of]
        left_out, slope = self._left_out(design, -jnp.log(relative) / per_decade)
        eta = self._intercepts(design) - k * (relative - 1) + left_out
        steep = k * relative + slope / per_decade  # how fast it falls with log L
        own, shared = losses.own, losses.shared
        if feature != "task":  # the one loss is that of all benchmarks
            own, shared = 0 * own, jnp.concatenate([shared, own[None]])
        return eta, shared[..., of] * steep, own[:, of] * steep


def bends(site: str, scale: Array, design: Design, place: Place, dim: str = "") -> Array:
    """A discrepancy, or one for each label of a dimension, shape (model,) or (model, label)."""
    with contextlib.ExitStack() as plates:
        plates.enter_context(plate("knot", place.away.shape[1], dim=-2 if dim else -1))
        if dim:
            plates.enter_context(plate(dim, len(design.labels(dim)), dim=-1))
        return scale * (place.away @ sample(site, dist.Normal(0.0, 1.0)))


def drive(design: Design, losses: Noisy) -> Drive:
    """Losses as step 2 sees them."""
    cell = design.loss_model, design.loss_domain
    seen = jnp.zeros(losses.expected.shape, bool).at[cell].set(design.loss_observed)
    given = losses.given(design.log_loss)  # what a model's observed losses say of the others
    log_loss = jnp.where(seen, given.expected.at[cell].set(design.log_loss), given.expected)
    return Drive(
        jnp.exp(log_loss - design.reference.log_loss0),
        jnp.where(seen, 0.0, losses.sd),
        jnp.where(seen, 0.0, given.shared),
    )


def worth_of_losses(design: Design, law: Any) -> Array:
    """How many logits a loss is worth on each benchmark, k, shape (benchmark,).

    Args:
        design: The data.
        law: A law with the priors slope and spread.
    """
    typical, spread = sample("slope", law.slope), sample("slope_spread", law.spread)
    with plate("benchmark", len(design.labels("benchmark"))):
        return jnp.exp(sample("log_k", dist.Normal(typical, spread)))


def domain_of_benchmark(design: Design, feature: str) -> np.ndarray:
    """Position of the loss domain that drives each benchmark, shape (benchmark,).

    Raises:
        ValueError: If there are no losses on such a domain.
    """
    domains, benchmarks = design.labels("domain"), design.labels("benchmark")
    wanted = benchmarks if feature == "task" else (feature,) * len(benchmarks)
    if missing := [m for m in dict.fromkeys(wanted) if m not in domains]:
        raise ValueError(
            f"feature {feature!r} needs losses on {missing}, but there are losses on "
            f"{list(domains)}: add them, or name one of these as the feature"
        )
    return np.array([domains.index(m) for m in wanted])


def surface(design: Design, inputs: Array, law: Any, *, irreducible: bool = True) -> Curve:
    """The log of E + sum_p A_p exp(-alpha_p x_p), zero where all x are, with families in log A_p.

    How steeply log L falls in the middle with each input is what data tell; how it divides into E, A, B
    and exponents is not. Sampled are the falls, E as a share of the loss there, and the ratio of the
    exponents; the rest follows.

    Args:
        design: The data.
        inputs: x, one or two of them, shape (model, input).
        law: A law with the priors fall, spread, tau_fall, e and spread_e, and for two inputs r and spread_r.
        irreducible: Whether there is an E.
    """
    n_domain, n_input = len(design.labels("domain")), inputs.shape[1]
    n_family = design.lineage.shape[0]
    with plate("input", n_input):
        fall, spread = sample("fall", law.fall), sample("spread", law.spread)
    with plate("input", n_input, dim=-2), plate("domain", n_domain, dim=-1):
        log_fall = sample("log_fall", dist.Normal(fall[:, None], spread[:, None]))
    e, ratio = jnp.zeros(n_domain), jnp.zeros((n_input, n_domain))
    if irreducible:
        e = deterministic("irreducible_share", jax.nn.sigmoid(_of_domains("e", law, n_domain)))
    if n_input == 2:
        ratio = jnp.array([[0.5], [-0.5]]) * _of_domains("r", law, n_domain)
    exponent = jnp.exp(ratio) * jnp.exp(log_fall - ratio).sum(axis=0) / (1 - e)
    A0 = jnp.exp(log_fall) / exponent
    for name, row in zip(("alpha", "beta"), exponent, strict=False):
        deterministic(name, row)

    tau_fall = sample("tau_fall", law.tau_fall)
    with (
        plate("family", n_family, dim=-3),
        plate("input", n_input, dim=-2),
        plate("domain", n_domain, dim=-1),
    ):
        log_fall_f = sample("log_fall_f", dist.Normal(log_fall, tau_fall))
    E = jnp.broadcast_to(e, (n_family, n_domain))
    A = A0 * jnp.exp(log_fall_f - log_fall)
    loss0 = E + A.sum(axis=1)  # in the middle, where level_f says it all
    f = design.family
    curve = jnp.log(curves.surface(E[f], A[f], exponent, inputs) / loss0[f])
    return Curve(curve, -jnp.exp(log_fall).mean(axis=0))


def _of_domains(name: str, law: Any, n_domain: int) -> Array:
    """A parameter that domains share more or less, shape (domain,)."""
    typical, spread = (
        sample(name, getattr(law, name)),
        sample(f"spread_{name}", getattr(law, f"spread_{name}")),
    )
    with plate("domain", n_domain):
        return typical + spread * sample(f"z_{name}", dist.Normal(0.0, 1.0))


def away(u: Array) -> tuple[Array, Array]:
    """Distance past each knot, on whose sum of squares u^3 / 3 white noise gives a variance; and its slope.

    Args:
        u: Distance from the middle in decades, any shape.

    Returns:
        Both of the shape of u and one more dimension, knots above the middle and below.
    """
    side = np.repeat([1.0, -1.0], len(KNOTS))
    past = side * u[..., None] - np.array([*KNOTS, *KNOTS])
    root = jnp.sqrt(jnp.array([*STRETCHES, *STRETCHES]))
    return root * jnp.maximum(past, 0.0), root * jnp.where(past > 0, side, 0.0)
