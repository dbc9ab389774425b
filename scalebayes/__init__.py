"""Hierarchical Bayesian scaling laws: how accurate a model not yet trained will be, and how sure we are."""

from scalebayes import datasets
from scalebayes.condition import condition
from scalebayes.inference import fit
from scalebayes.laws import FamilyIntercept, SharedIntercept, SizeAndTokens, Sloth, priors
from scalebayes.observations import Observations, ObservationsError
from scalebayes.posterior import Fit, load
from scalebayes.predict import log_score, predict, predictive_draws
from scalebayes.version import __version__

__all__ = [
    "FamilyIntercept",
    "Fit",
    "Observations",
    "ObservationsError",
    "SharedIntercept",
    "SizeAndTokens",
    "Sloth",
    "__version__",
    "condition",
    "datasets",
    "fit",
    "load",
    "log_score",
    "predict",
    "predictive_draws",
    "priors",
]
