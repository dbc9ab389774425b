"""allocate: the best division of a training budget between parameters and tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from scalebayes.data.compute import params_and_tokens, training_tokens
from scalebayes.planning.candidates import MAX_DRAWS, planned_models, search_range
from scalebayes.prediction.designs import CELL
from scalebayes.prediction.new_levels import check_known
from scalebayes.prediction.predictive import predictive_draws, summary
from scalebayes.prediction.ranges import seen_ratios
from scalebayes.prediction.reliability import checked, warn_if_far

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.inference.posterior import Fitted
    from scalebayes.prediction.designs import Quantity

N_SIZES = 49
"""Number of sizes compared at a budget, evenly spaced in log N; a parabola interpolates the optimum."""


@dataclass(frozen=True)
class Allocation:
    """The best division of training budgets, with its uncertainty.

    Values are scores in [0, 1], or losses in their own units. The price of a size is the shortfall of its
    value from the value of the optimum at the same posterior draw, in the same units.

    Attributes:
        best: One row per budget, for the size with the highest expected score or lowest expected loss:
            flops, params, tokens, tokens_per_param, value (expected), price (expected) and at_edge, the
            share of draws whose optimum is at an end of the range of tokens per parameter.
        region: One row per budget and quantity (params, tokens, tokens_per_param), with credible intervals
            of the optimum: flops, quantity, mean, median, sd, and lower_p and upper_p in percent.
        prices: One row per budget and size: flops, params, tokens, tokens_per_param, value (expected), price
            (expected) and its intervals lower_p and upper_p; `attrs["draws"]` is the number of draws.
        draws: Natural log of N of the optimum at each draw, dims (flops, sample).
    """

    best: pd.DataFrame
    region: pd.DataFrame
    prices: pd.DataFrame
    draws: xr.DataArray = field(repr=False)


@checked
def allocate(
    fit: Fitted,
    family: str,
    flops: float | Sequence[float],
    *,
    benchmarks: str | Sequence[str] = (),
    losses: Mapping[str, float] | None = None,
    tokens_per_param: tuple[float, float] | None = None,
    prob: Sequence[float] = (0.5, 0.9),
    new_families: Sequence[str] = (),
    covariates: Mapping[str, float | str] | None = None,
    seed: int = 0,
) -> Allocation:
    """Divide training budgets between parameters and tokens to maximise the expected score of a family.

    FLOPs are 6 N D. The optimum is found at each posterior draw, which gives credible intervals of the
    optimal size. Prices show how much score (or loss) a size other than the optimum costs.

    Args:
        fit: The fit, or an average of fits.
        family: The family, known or new.
        flops: Training FLOPs, one budget or several.
        benchmarks: One benchmark, or several, whose mean score is maximised; by default all.
        losses: Domain -> positive weight; the weighted sum of these losses is minimised. Give either losses or
            benchmarks.
        tokens_per_param: Smallest and largest D / N to search; by default those of the models in the fit.
        prob: Probabilities of the intervals, in (0, 1).
        new_families: As in `predict`.
        covariates: Covariates of the model, by name; by default those of the family's largest model.
        seed: Seed of the effects of a new family.

    Returns:
        The allocation.

    Warns:
        ExtrapolationWarning: As for `predict`, of the best model of a budget.

    Raises:
        ValueError: If a budget is not positive, a name is unknown, both benchmarks and losses are given, or a
            range is not two positive numbers in order.

    References:
        Hoffmann et al., Training compute-optimal large language models, 2022.
        https://arxiv.org/abs/2203.15556

    Example:
        >>> found = sb.allocate(fit, "f0", [1e22, 1e23], benchmarks="mmlu")
        >>> found.best["flops"].tolist()
        [1e+22, 1e+23]
        >>> bool((found.best["price"] >= 0).all())
        True
        >>> found.region["quantity"].tolist()[:3]
        ['params', 'tokens', 'tokens_per_param']
    """
    budgets = np.atleast_1d(np.asarray(flops, float))
    if not (len(budgets) and (budgets > 0).all() and np.isfinite(budgets).all()):
        raise ValueError(f"flops must be positive and finite, but is {flops!r}")
    of: Quantity = "loss" if losses else "score"
    if losses and benchmarks:
        raise ValueError("give either benchmarks to maximise, or losses to minimise")
    names = [benchmarks] if isinstance(benchmarks, str) else list(benchmarks)
    weights = dict(losses) if losses else dict.fromkeys(names, 1.0)
    first, last = search_range("tokens_per_param", tokens_per_param, seen_ratios(fit))
    ratios = np.geomspace(last, first, N_SIZES)  # sizes rise
    c, r = (v.ravel() for v in np.meshgrid(budgets, ratios, indexing="ij"))
    params, tokens = params_and_tokens(c, r)
    models = planned_models(fit, family, params, tokens, covariates)
    drawn = predictive_draws(
        fit.thinned(MAX_DRAWS), models, of=of, kind="mean", new_families=new_families, seed=seed
    )[of].stack(sample=("chain", "draw"))
    reached = _weighted(drawn, CELL[of][1], weights).transpose("sample", "model").to_numpy()
    reached = reached.reshape(-1, len(budgets), N_SIZES)
    sign = -1.0 if of == "loss" else 1.0
    value, log_n = sign * reached, np.log(params).reshape(len(budgets), N_SIZES)
    top, at_edge, peak = _peak(value, log_n)
    price = np.maximum(peak[..., None] - value, 0.0)

    grid = pd.DataFrame(
        {"flops": c, "params": params, "tokens": tokens, "tokens_per_param": r}
    ).assign(value=reached.mean(axis=0).ravel(), price=price.mean(axis=0).ravel())
    intervals = summary(price.reshape(len(price), -1).T, prob)
    prices = grid.assign(**{k: v for k, v in intervals.items() if k.startswith(("lower", "upper"))})
    prices.attrs["draws"] = len(reached)
    chosen = value.mean(axis=0).argmax(axis=1) + N_SIZES * np.arange(len(budgets))
    best = grid.loc[chosen].reset_index(drop=True).assign(at_edge=at_edge.mean(axis=0))
    warn_if_far(fit, best)
    n = np.exp(top)
    d = training_tokens(budgets, n)
    quantities = {"params": n, "tokens": d, "tokens_per_param": d / n}
    region = pd.concat(
        [
            pd.DataFrame({"flops": budgets, "quantity": name, **summary(draws.T, prob)})
            for name, draws in quantities.items()
        ]
    )
    region = region.sort_values("flops", kind="stable", ignore_index=True)
    draws = xr.DataArray(top.T, dims=("flops", "sample"), coords={"flops": budgets})
    return Allocation(best, region, prices, draws)


def _weighted(drawn: xr.DataArray, dim: str, weights: Mapping[str, float]) -> xr.DataArray:
    """The mean score, or the weighted sum of losses, at each draw and model."""
    known = [str(k) for k in drawn[dim].values]
    check_known(dim, weights, known)
    if not all(np.isfinite(w) and w > 0 for w in weights.values()):
        raise ValueError(f"weights of losses must be positive and finite, but are {weights}")
    if not weights:
        return drawn.mean(dim)
    of = drawn.sel({dim: list(weights)})
    share = np.array(list(weights.values())) / (len(weights) if dim == "benchmark" else 1.0)
    return (of * xr.DataArray(share, dims=dim)).sum(dim)


def _peak(value: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The maximum over an even grid, interpolated by a parabola through the highest point and its neighbours.

    Args:
        value: Shape (sample, budget, size).
        at: Positions, evenly spaced in each row, shape (budget, size).

    Returns:
        Position of the maximum, whether it is at an end of the grid, and its value, each (sample, budget).
    """
    i = value.argmax(axis=2)
    at_edge = (i == 0) | (i == value.shape[2] - 1)
    j = np.clip(i, 1, value.shape[2] - 2)
    left, mid, right = (
        np.take_along_axis(value, (j + k)[..., None], axis=2)[..., 0] for k in (-1, 0, 1)
    )
    bend = left - 2 * mid + right
    shift = np.where(bend < 0, (left - right) / (2 * np.where(bend < 0, bend, -1.0)), 0.0)
    shift = np.where(at_edge, i - j, np.clip(shift, -1, 1))
    step = at[:, 1] - at[:, 0]
    rows = np.arange(at.shape[0])
    height = np.take_along_axis(value, i[..., None], axis=2)[..., 0]
    height = np.where(at_edge, height, mid - (left - right) * shift / 4)
    return at[rows, j] + shift * step, at_edge, height
