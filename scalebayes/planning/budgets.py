"""smallest_budget: the smallest training budget with which a model reaches targets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import logit

from scalebayes.data.compute import params_and_tokens
from scalebayes.planning.candidates import MAX_DRAWS, search_range
from scalebayes.planning.targets import joint_probability
from scalebayes.prediction.ranges import seen_flops, seen_ratios
from scalebayes.prediction.reliability import checked, warn_if_far

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.inference.posterior import Fitted
    from scalebayes.prediction.predictive import Kind

N_BUDGETS, N_RATIOS = 25, 13
"""Numbers of budgets and of tokens per parameter on each of two grids: over the range, and near the answer."""

MAX_BUDGET_RATIO = 1000.0
"""Largest budget that is searched by default, relative to the largest in the fit."""


@dataclass(frozen=True)
class Budget:
    """The smallest budget that reaches targets.

    Attributes:
        flops: Training FLOPs, 6 N D.
        params: Parameters N of the model that reaches the targets, a count.
        tokens: Training tokens D of that model, a count.
        probability: The required probability.
        at_edge: Whether D / N is at an end of its range, so that a wider range may give a smaller budget.
        frontier: One row per budget: flops, and params, tokens and probability of the model most likely to
            reach the targets.
    """

    flops: float
    params: float
    tokens: float
    probability: float
    at_edge: bool
    frontier: pd.DataFrame = field(repr=False)

    def __str__(self) -> str:
        """One line with the budget and its model."""
        edge = ", at an end of the range" if self.at_edge else ""
        return (
            f"{self.flops:.3g} FLOPs: {self.params:.3g} parameters on {self.tokens:.3g} tokens, "
            f"{self.tokens / self.params:.3g} per parameter{edge}"
        )


@checked
def smallest_budget(
    fit: Fitted,
    family: str,
    targets: Mapping[str, float],
    *,
    probability: float = 0.8,
    flops: tuple[float, float] | None = None,
    tokens_per_param: tuple[float, float] | None = None,
    kind: Kind = "score",
    new_families: Sequence[str] = (),
    covariates: Mapping[str, float | str] | None = None,
    seed: int = 0,
) -> Budget:
    """Find the smallest training budget with which a model of a family reaches all targets.

    The budget is the smallest at which the probability of reaching all targets at once is as required,
    with the best tokens per parameter.

    Args:
        fit: The fit, or an average of fits.
        family: The family, known or new.
        targets: Benchmark -> target score in (0, 1].
        probability: The required probability of reaching all targets, in (0, 1).
        flops: Smallest and largest budget to search, in training FLOPs; by default from the smallest in the fit
            to `MAX_BUDGET_RATIO` times the largest.
        tokens_per_param: Smallest and largest D / N to search; by default those of the models in the fit.
        kind: As in `target_probability`.
        new_families: As in `predict`.
        covariates: Covariates of the model, by name; by default those of the family's largest model.
        seed: Seed of the predictive draws.

    Returns:
        The budget and its model.

    Warns:
        ExtrapolationWarning: As for `predict`, of the model that the budget trains.

    Raises:
        ValueError: If no budget in the range is large enough, the smallest is too large already, or as for
            `target_probability`.

    Example:
        >>> found = sb.smallest_budget(fit, "f0", {"mmlu": 0.6}, probability=0.5, flops=(1e18, 1e27))
        >>> bool(abs(found.flops / (6 * found.params * found.tokens) - 1) < 1e-9)
        True
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability must lie between 0 and 1, but is {probability!r}")
    low, high = search_range("flops", flops, seen_flops(fit), MAX_BUDGET_RATIO)
    first, last = search_range("tokens_per_param", tokens_per_param, seen_ratios(fit))
    fit = fit.thinned(MAX_DRAWS)

    def best_models(budgets: np.ndarray, ratios: np.ndarray) -> pd.DataFrame:
        """The model most likely to reach the targets, for each budget."""
        c, r = (v.ravel() for v in np.meshgrid(budgets, ratios, indexing="ij"))
        n, d = params_and_tokens(c, r)
        found = joint_probability(fit, family, targets, n, d, kind, new_families, seed, covariates)
        of_budget = found.reshape(len(budgets), len(ratios))
        rows = of_budget.argmax(axis=1) + len(ratios) * np.arange(len(budgets))
        models = pd.DataFrame({"flops": c, "params": n, "tokens": d, "probability": found})
        return models.loc[rows].reset_index(drop=True)

    budgets, ratios = np.geomspace(low, high, N_BUDGETS), np.geomspace(first, last, N_RATIOS)
    frontier = best_models(budgets, ratios)
    chances = frontier["probability"].to_numpy()
    wanted = ", ".join(f"{k} >= {v:g}" for k, v in targets.items())
    if not (chances >= probability).any():
        raise ValueError(
            f"no budget up to {high:.2g} FLOPs reaches {wanted} with probability {probability:g}; "
            f"the highest is {chances.max():.2f} at {budgets[chances.argmax()]:.2g}: ask for less, "
            "or give a wider range with flops"
        )
    i = int((chances >= probability).argmax())
    if i == 0:
        raise ValueError(
            f"{low:.2g} FLOPs, the smallest budget considered, reach {wanted} with probability "
            f"{chances[0]:.2f} already: give a lower range with flops"
        )
    step, ratio = ratios[1] / ratios[0], frontier["tokens"][i] / frontier["params"][i]
    finer = np.geomspace(max(ratio / step, first), min(ratio * step, last), N_RATIOS)
    near = best_models(np.geomspace(budgets[i - 1], budgets[i], N_BUDGETS), finer)
    # between neighbouring budgets, interpolate the log odds linearly in log C
    odds = logit(np.clip(near["probability"].to_numpy(), 1e-6, 1 - 1e-6))
    rising = np.maximum.accumulate(odds)
    c = float(np.exp(np.interp(logit(probability), rising, np.log(near["flops"]))))
    r = float(np.interp(c, near["flops"], near["tokens"] / near["params"]))
    n, d = (float(v) for v in params_and_tokens(c, r))
    step = (
        finer[1] / finer[0]
    )  # the answer lies between two budgets, and one of them may have its optimum at the end
    at_edge = bool(r < first * step or r > last / step)
    warn_if_far(fit, pd.DataFrame({"params": [n], "tokens": [d], "flops": [c]}))
    both = pd.concat([frontier, near]).sort_values("flops", ignore_index=True)
    return Budget(c, n, d, probability, at_edge, both)
