"""Models that a family may train, and ranges of budgets and tokens per parameter to search."""

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
"""Largest number of posterior draws that are used for many models at once."""


def planned_models(
    fit: Fitted,
    family: str,
    params: np.ndarray,
    tokens: np.ndarray,
    covariates: Mapping[str, float | str] | None = None,
) -> Observations:
    """Models that a family may train, with new names.

    Args:
        fit: The fit, or an average of fits.
        family: The family.
        params: Sizes N, counts, shape (model,).
        tokens: Token counts D, shape (model,).
        covariates: As in `covariates_of`.
    """
    names = new_names(fit.observations.models, len(params))
    values = covariates_of(fit, family, covariates)
    table = pd.DataFrame({"model": names, "family": family, "params": params, "tokens": tokens})
    declared = {name: fit.observations.covariates[name] for name in values}
    return Observations(table.assign(**values), covariates=declared)


def search_range(
    name: str,
    given: tuple[float, float] | None,
    seen: tuple[float, float],
    beyond: float = 1.0,
) -> tuple[float, float]:
    """The ends of a range to search.

    Args:
        name: The argument, for errors.
        given: The ends that the user gave.
        seen: The ends over the models in the fit, used if none were given.
        beyond: Factor on the upper end of those seen.

    Raises:
        ValueError: If the ends are not positive and in order, or there are none.
    """
    low, high = given if given is not None else (seen[0], seen[1] * beyond)
    if given is None and not low < high:
        raise ValueError(f"the models in the fit give no range of {name}: give {name}=(low, high)")
    if not 0 < low < high < np.inf:
        raise ValueError(
            f"{name} must be two positive numbers, the smaller first, but is {given!r}"
        )
    return float(low), float(high)
