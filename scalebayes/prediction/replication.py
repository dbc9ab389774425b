"""posterior_predictive: replicated scores, for comparison with the observed ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from scalebayes.prediction.pointwise import at_cells
from scalebayes.prediction.reliability import checked

if TYPE_CHECKING:
    from scalebayes.inference.posterior import Fit


@checked
def posterior_predictive(fit: Fit, *, seed: int = 0) -> Fit:
    """Replicate the scores of a fit, for posterior predictive checks.

    A replicate has the fitted effects of families and deviations of models; the noise of each score is drawn
    anew.

    Args:
        fit: The fit.
        seed: Seed of the replicates.

    Returns:
        The fit with the group posterior_predictive in its tree: `score` of dims (chain, draw,
        score_obs), clipped to [0, 1]. ArviZ's predictive checks find it there, and `save` keeps it.

    Raises:
        ValueError: If the fit has no scores.

    Example:
        >>> replicated = sb.posterior_predictive(fit.thinned(20))
        >>> replicated.tree["posterior_predictive"]["score"].dims
        ('chain', 'draw', 'score_obs')
    """
    if "score" not in fit.tree["log_likelihood"]:
        raise ValueError(
            "the fit is of losses alone and has no scores to replicate: use a fit with scores"
        )
    seen = np.asarray(fit.design.observed)
    observed = fit.tree["log_likelihood"].to_dataset()
    values = at_cells(fit, fit.design, seed)["score"]["score"][..., seen]
    tree = fit.tree.copy()
    tree["posterior_predictive"] = xr.DataTree(
        observed.assign(score=observed["score"].copy(data=values))
    )
    return replace(fit, tree=tree)
