"""smallest_budget: the least training compute with which targets are reached, and the model that does it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import logit

from scalebayes.data.compute import params_and_tokens
from scalebayes.planning.candidates import MAX_DRAWS, of_range, seen_flops, seen_ratios
from scalebayes.planning.targets import reached

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalebayes.inference.posterior import Fitted
    from scalebayes.prediction.predictive import Kind

BUDGETS, RATIOS = 25, 13
"""Budgets and tokens per parameter that a search looks at, twice: over the range, and around the answer."""

FARTHEST = 1000.0
"""Budgets are sought up to this multiple of the largest that the fit has seen: no law is known farther."""


@dataclass(frozen=True)
class Budget:
    """The smallest budget that reaches targets.

    Attributes:
        flops: Training FLOPs, 6 N D.
        params: N of the model that reaches the targets with them.
        tokens: D of that model.
        probability: The probability that was asked for.
        at_edge: Whether that model's tokens per parameter are at an end of the range, beyond which a smaller budget
            may do.
        frontier: One row a budget: flops, and params, tokens and probability of the model most likely to
            reach the targets.
    """

    flops: float
    params: float
    tokens: float
    probability: float
    at_edge: bool
    frontier: pd.DataFrame = field(repr=False)

    def __str__(self) -> str:
        """One line: the budget, and the model to spend it on."""
        edge = ", at an end of the range" if self.at_edge else ""
        return (
            f"{self.flops:.3g} FLOPs: {self.params:.3g} parameters on {self.tokens:.3g} tokens, "
            f"{self.tokens / self.params:.3g} per parameter{edge}"
        )


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
    """Find the smallest budget with which a family's model reaches all targets with a probability.

    Args:
        fit: The fit, or an average of fits.
        family: The family, known or new.
        targets: Benchmark -> score in (0, 1] to be reached.
        probability: How sure one wants to be, in (0, 1).
        flops: Smallest and largest budget to consider; by default from the smallest that the fit has seen to
            `FARTHEST` times the largest.
        tokens_per_param: Smallest and largest D / N to consider; by default those that the fit has seen.
        kind: As in `target_probability`.
        new_families: As in `predict`.
        covariates: Covariates of the model, by name; those left out are those of the family's largest model.
        seed: Seed of what is drawn.

    Raises:
        ValueError: If no budget in the range will do, the smallest does already, or as for `target_probability`.
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability must lie between 0 and 1, but is {probability!r}")
    low, high = of_range("flops", flops, seen_flops(fit), FARTHEST)
    first, last = of_range("tokens_per_param", tokens_per_param, seen_ratios(fit))
    fit = fit.thinned(MAX_DRAWS)

    def look(budgets: np.ndarray, ratios: np.ndarray) -> pd.DataFrame:
        """The models most likely to reach the targets, one a budget."""
        c, r = (v.ravel() for v in np.meshgrid(budgets, ratios, indexing="ij"))
        n, d = params_and_tokens(c, r)
        found = reached(fit, family, targets, n, d, kind, new_families, seed, covariates)
        of_budget = found.reshape(len(budgets), len(ratios))
        rows = of_budget.argmax(axis=1) + len(ratios) * np.arange(len(budgets))
        models = pd.DataFrame({"flops": c, "params": n, "tokens": d, "probability": found})
        return models.loc[rows].reset_index(drop=True)

    budgets, ratios = np.geomspace(low, high, BUDGETS), np.geomspace(first, last, RATIOS)
    frontier = look(budgets, ratios)
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
    finer = np.geomspace(max(ratio / step, first), min(ratio * step, last), RATIOS)
    near = look(np.geomspace(budgets[i - 1], budgets[i], BUDGETS), finer)
    # between budgets as near as these the log odds are a line in log C
    odds = logit(np.clip(near["probability"].to_numpy(), 1e-6, 1 - 1e-6))
    rising = np.maximum.accumulate(odds)
    c = float(np.exp(np.interp(logit(probability), rising, np.log(near["flops"]))))
    r = float(np.interp(c, near["flops"], near["tokens"] / near["params"]))
    n, d = (float(v) for v in params_and_tokens(c, r))
    step = finer[1] / finer[0]  # between two budgets, of which one has its best model at the end
    at_edge = bool(r < first * step or r > last / step)
    both = pd.concat([frontier, near]).sort_values("flops", ignore_index=True)
    return Budget(c, n, d, probability, at_edge, both)
