"""From a fit to joint predictive draws: known and new families, conditioning, curves, averages, simulation."""

from scalebayes.prediction.averages import Average
from scalebayes.prediction.averaging import average, fit_average
from scalebayes.prediction.conditioning import condition
from scalebayes.prediction.predictive import (
    joint_log_score,
    log_score,
    posterior_predictive,
    predict,
    predictive_draws,
    summary,
)
from scalebayes.prediction.simulation import prior_predictive, simulate
from scalebayes.prediction.trajectories import measured, trajectory, two_steps

__all__ = [
    "Average",
    "average",
    "condition",
    "fit_average",
    "joint_log_score",
    "log_score",
    "measured",
    "posterior_predictive",
    "predict",
    "predictive_draws",
    "prior_predictive",
    "simulate",
    "summary",
    "trajectory",
    "two_steps",
]
