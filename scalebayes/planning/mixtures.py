"""best_mixture: the posterior of the best mixture of training data at a budget."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from numpyro import handlers
from numpyro.optim import Adam

from scalebayes.data.observations import Observations
from scalebayes.inference.compilation import compiled
from scalebayes.inference.draws import evenly
from scalebayes.prediction.designs import covariates_of, design_of_models
from scalebayes.prediction.new_levels import at_draw, check_known, positions
from scalebayes.prediction.predictive import summary
from scalebayes.prediction.reliability import checked, warn_if_far

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scalebayes.inference.posterior import Fit
    from scalebayes.model.law import Law

STEPS = 600
"""Number of steps of the optimiser, which starts at an even mixture."""

LEARNING_RATE = 0.1
"""First step size on the logits of the weights; it falls to zero along a cosine."""


@dataclass(frozen=True)
class BestMixture:
    """The posterior of the best mixture at a budget.

    Attributes:
        weights: One row per source: source, and mean, median, sd, lower_p and upper_p (p in percent) of its
            weight, in [0, 1].
        draws: The best mixture at each posterior draw, dims (draw, source); each draw sums to one.
        value: The expected score, or weighted sum of losses, of the best mixture at the same draw, dim (draw,).
        gap: Upper bound on the improvement that another mixture could bring at the same draw, dim (draw,). It
            holds if the objective is convex in the weights, as weighted losses are.
    """

    weights: pd.DataFrame
    draws: xr.DataArray = field(repr=False)
    value: xr.DataArray = field(repr=False)
    gap: xr.DataArray = field(repr=False)


@checked
def best_mixture(
    fit: Fit,
    *,
    family: str,
    params: float,
    tokens: float,
    benchmark: str | None = None,
    losses: Mapping[str, float] | None = None,
    draws: int = 200,
    prob: Sequence[float] = (0.5, 0.9),
    covariates: Mapping[str, float | str] | None = None,
    seed: int = 0,
) -> BestMixture:
    """Find the mixture of training data that maximises a score, or minimises a weighted sum of losses.

    The best mixture is found at each posterior draw by gradient descent (Adam) from an even mixture. If it is
    far from all mixtures in the data, it is an extrapolation: its intervals cover uncertainty in the parameters
    of the law, but not in its form.

    Args:
        fit: A fit of a law with mixtures, such as `FlpM`.
        family: Family of the model to train.
        params: Its parameters N, a count.
        tokens: Its training tokens D, a count.
        benchmark: The benchmark to maximise.
        losses: Domain -> positive weight; the weighted sum of these losses is minimised. Give either losses or a
            benchmark.
        draws: Largest number of posterior draws to use; they are evenly spaced.
        prob: Probabilities of the credible intervals of weights, in (0, 1).
        covariates: Covariates of the model, by name; by default those of the family's largest model.
        seed: Seed of the effects of a new family.

    Returns:
        The best mixture, with its draws.

    Warns:
        ExtrapolationWarning: As for `predict`.

    Raises:
        ValueError: If the law has no mixtures, a name is unknown, a weight is not positive, or not exactly one of
            benchmark and losses is given.

    References:
        Kingma and Ba, Adam: a method for stochastic optimization, 2015. https://arxiv.org/abs/1412.6980

    Example:
        >>> fit = sb.load("flp_m.nc")  # doctest: +SKIP
        >>> best = sb.best_mixture(
        ...     fit, family="mine", params=1e9, tokens=25e9, losses={"pile_cc": 1.0}
        ... )  # doctest: +SKIP
        >>> best.weights[["source", "median"]]  # doctest: +SKIP
    """
    sources = fit.design.labels("source")
    if not any("source" in dims for dims in fit.law.dims.values()):
        raise ValueError(
            f"best_mixture needs a law with mixtures, such as FlpM, but the law is {type(fit.law).__name__}"
        )
    aim = _objective(fit, benchmark, losses)
    even = pd.DataFrame({"model": "mixture", "source": sources, "weight": 1 / len(sources)})
    model = pd.DataFrame(
        {"model": ["mixture"], "family": family, "params": params, "tokens": tokens}
    )
    every = fit.draws()
    n = len(next(iter(every.values())))
    chosen = evenly(n, min(draws, n))
    with jax.enable_x64(fit.x64):
        values = covariates_of(fit, family, covariates)
        declared = {name: fit.observations.covariates[name] for name in values}
        planned = Observations(model.assign(**values), mixtures=even, covariates=declared)
        design = design_of_models(fit, planned)
        run = _optimiser(fit.law, benchmark is not None)
        keys = jax.random.split(jax.random.key(seed), len(chosen))
        some = {k: v[chosen] for k, v in every.items()}
        weights, value, gap = run(some, keys, design, positions(fit, design), aim)
    warn_if_far(fit, planned.models)
    weights = np.asarray(weights)
    of_draws = xr.DataArray(
        weights, dims=("draw", "source"), coords={"draw": chosen, "source": list(sources)}
    )
    table = pd.DataFrame({"source": sources, **summary(weights.T, prob)})
    return BestMixture(
        table,
        of_draws,
        of_draws[:, 0].drop_vars("source").copy(data=np.asarray(value)),
        of_draws[:, 0].drop_vars("source").copy(data=np.asarray(gap)),
    )


def _objective(fit: Fit, benchmark: str | None, losses: Mapping[str, float] | None) -> np.ndarray:
    """Weights of the objective over benchmarks or domains, shape (benchmark,) or (domain,)."""
    if (benchmark is None) == (not losses):
        raise ValueError("give either a benchmark to maximise, or weights of losses to minimise")
    wanted = {benchmark: 1.0} if benchmark is not None else dict(losses or {})
    dim = "domain" if benchmark is None else "benchmark"
    known = fit.design.labels(dim)
    check_known(dim, wanted, known)
    if not all(np.isfinite(w) and w > 0 for w in wanted.values()):
        raise ValueError(f"weights of losses must be positive and finite, but are {wanted}")
    return np.array([wanted.get(name, 0.0) for name in known])


@compiled(2)
def _optimiser(law: Law, of_scores: bool) -> Callable[..., Any]:
    """Compiled: from a posterior draw to the best mixture, its value and its gap."""

    def one(
        draw: dict[str, Any], key: Any, design: Any, position: dict[str, Any], aim: Any
    ) -> tuple[Any, Any, Any]:
        model = handlers.seed(at_draw(law, draw, position), key)

        def cost(weights: Any) -> Any:
            trace = handlers.trace(model).get_trace(replace(design, mixture=weights[None]))
            if of_scores:
                return -trace["score"]["fn"].mean[0] @ aim
            return jnp.exp(trace["loss"]["fn"].mean[0]) @ aim

        gradient = jax.grad(lambda z: cost(jax.nn.softmax(z)))
        adam = Adam(
            lambda i: LEARNING_RATE * (1 + jnp.cos(jnp.pi * i / STEPS)) / 2, b2=0.99, eps=1e-10
        )

        def step(i: Any, state: Any) -> Any:
            return adam.update(gradient(adam.get_params(state)), state)

        start = adam.init(jnp.zeros(design.mixture.shape[1]))
        weights = jax.nn.softmax(adam.get_params(jax.lax.fori_loop(0, STEPS, step, start)))
        value, slopes = jax.value_and_grad(cost)(weights)
        return weights, -value if of_scores else value, weights @ slopes - slopes.min()

    return one
