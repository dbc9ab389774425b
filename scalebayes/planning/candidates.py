"""What questions before training are asked about: models that a family may train, and ranges to search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalebayes.data.observations import Observations
from scalebayes.prediction.designs import covariates_of
from scalebayes.prediction.new_levels import new_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scalebayes.inference.posterior import Fitted

MAX_DRAWS = 1000
"""Posterior draws by which many models are judged at once."""


def planned(
    fit: Fitted,
    family: str,
    params: np.ndarray,
    tokens: np.ndarray,
    covariates: Mapping[str, float | str] | None = None,
) -> Observations:
    """Models that a family may train, under names that no fit knows; for covariates see `covariates_of`."""
    names = new_names(fit.observations.models, len(params))
    values = covariates_of(fit, family, covariates)
    table = pd.DataFrame({"model": names, "family": family, "params": params, "tokens": tokens})
    declared = {name: fit.observations.covariates[name] for name in values}
    return Observations(table.assign(**values), covariates=declared)


def seen_flops(fit: Fitted) -> tuple[float, float]:
    """Smallest and largest training FLOPs of models that a fit has seen."""
    flops = fit.seen_models["flops"].dropna()
    return (flops.min(), flops.max()) if len(flops) else (np.nan, np.nan)


def seen_ratios(fit: Fitted) -> tuple[float, float]:
    """Smallest and largest tokens per parameter of models that a fit has seen."""
    ratio = (fit.seen_models["tokens"] / fit.seen_models["params"]).dropna()
    return (ratio.min(), ratio.max()) if len(ratio) else (np.nan, np.nan)


def of_range(
    name: str,
    given: tuple[float, float] | None,
    seen: tuple[float, float],
    beyond: float = 1.0,
) -> tuple[float, float]:
    """The ends of a range: those seen, times `beyond` above, unless it is given."""
    low, high = given if given is not None else (seen[0], seen[1] * beyond)
    if given is None and not low < high:
        raise ValueError(
            f"the fit has seen no range of {name} to consider: give {name}=(low, high)"
        )
    if not 0 < low < high < np.inf:
        raise ValueError(
            f"{name} must be two positive numbers, the smaller first, but is {given!r}"
        )
    return float(low), float(high)
