"""log_score, joint_log_score: log predictive densities of scores that a fit has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from scalebayes.prediction.designs import asked
from scalebayes.prediction.pointwise import at_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from scalebayes.data.observations import Observations
    from scalebayes.inference.posterior import Fit


def log_score(
    fit: Fit, observations: Observations, *, new_families: Sequence[str] = (), seed: int = 0
) -> pd.DataFrame:
    """Log predictive density of scores that the fit has not seen, each on its own.

    Where the fit has seen other scores of the same model, the density is given these.

    Args:
        fit: The fit.
        observations: Models and their scores, on benchmarks of the fit.
        new_families: As in `predict`.
        seed: Seed of the effects of new families.

    Returns:
        The table of scores with a column log_score.
    """
    density = at_cells(fit, asked(fit, observations, new_families), seed)["log_density"]
    flat = density[..., : len(observations.scores)].reshape(-1, len(observations.scores))
    return observations.scores.assign(log_score=logsumexp(flat, axis=0) - np.log(len(flat)))


def joint_log_score(
    fit: Fit, observations: Observations, *, new_families: Sequence[str] = (), seed: int = 0
) -> float:
    """Log predictive density of scores that the fit has not seen, all together.

    For the arguments see `log_score`, whose sum this is only where scores err apart.
    """
    design = asked(fit, observations, new_families)
    joint = at_cells(fit, design, seed, joint=True)["joint_log_density"]
    return float(logsumexp(joint) - np.log(joint.size))
