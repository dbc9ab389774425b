"""Predictions of a fit: joint predictive draws, conditioning on new families, curves, averages, simulation."""

from scalebayes.prediction.averages import Average
from scalebayes.prediction.averaging import average, fit_average
from scalebayes.prediction.conditioning import condition
from scalebayes.prediction.log_scores import joint_log_score, log_score
from scalebayes.prediction.predictive import predict, predictive_draws, summary
from scalebayes.prediction.reliability import ExtrapolationWarning
from scalebayes.prediction.replication import posterior_predictive
from scalebayes.prediction.simulation import prior_predictive, simulate
from scalebayes.prediction.steps import two_steps
from scalebayes.prediction.trajectories import measured, trajectory

__all__ = [
    "Average",
    "ExtrapolationWarning",
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
