"""log_score, joint_log_score: log predictive densities of scores that a fit has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from scalebayes.prediction.designs import design_of_scores
from scalebayes.prediction.pointwise import at_cells
from scalebayes.prediction.reliability import checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from scalebayes.data.observations import Observations
    from scalebayes.inference.posterior import Fit


@checked
def log_score(
    fit: Fit, observations: Observations, *, new_families: Sequence[str] = (), seed: int = 0
) -> pd.DataFrame:
    """Marginal log predictive density of each score that the fit has not seen.

    It is conditional on other scores of the same model that the fit has seen.

    Args:
        fit: The fit.
        observations: Models and their scores, on benchmarks of the fit.
        new_families: As in `predict`.
        seed: Seed of the effects of new families.

    Returns:
        The table of scores with a column log_score, in nats.

    Example:
        >>> sb.log_score(fit, fit.observations.only(models=["f0-3"]))["log_score"].shape
        (4,)
    """
    density = at_cells(fit, design_of_scores(fit, observations, new_families), seed)["log_density"]
    flat = density[..., : len(observations.scores)].reshape(-1, len(observations.scores))
    return observations.scores.assign(log_score=logsumexp(flat, axis=0) - np.log(len(flat)))


@checked
def joint_log_score(
    fit: Fit, observations: Observations, *, new_families: Sequence[str] = (), seed: int = 0
) -> float:
    """Joint log predictive density of scores that the fit has not seen, in nats.

    It differs from the sum of `log_score` because prediction errors are correlated. For the arguments see
    `log_score`.

    Returns:
        The log density.

    Example:
        >>> bool(sb.joint_log_score(fit, fit.observations.only(models=["f0-3"])) < 20)
        True
    """
    return joint_log_density(fit, observations, new_families, seed)


def joint_log_density(
    fit: Fit, observations: Observations, new_families: Sequence[str] = (), seed: int = 0
) -> float:
    """As `joint_log_score`, without a warning: for fits that have given their own."""
    design = design_of_scores(fit, observations, new_families)
    joint = at_cells(fit, design, seed, joint=True)["joint_log_density"]
    return float(logsumexp(joint) - np.log(joint.size))
