"""Hierarchical Bayesian scaling laws: how accurate a model not yet trained will be, and how sure.

Names are imported where they are first used, so that `import scalebayes` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from scalebayes.version import __version__

if TYPE_CHECKING:
    from scalebayes import datasets
    from scalebayes.averaging import Average, average
    from scalebayes.conditioning import condition
    from scalebayes.inference import fit
    from scalebayes.laws import (
        FamilyIntercept,
        Ladder,
        SharedIntercept,
        SizeAndTokens,
        Sloth,
        priors,
    )
    from scalebayes.observations import Observations, ObservationsError
    from scalebayes.posterior import Fit, load
    from scalebayes.prediction import (
        log_score,
        posterior_predictive,
        predict,
        predictive_draws,
        summary,
    )
    from scalebayes.simulation import prior_predictive, simulate

_HOME = {
    "Average": "averaging",
    "average": "averaging",
    "condition": "conditioning",
    "fit": "inference",
    "FamilyIntercept": "laws",
    "Flp": "laws",
    "FlpM": "laws",
    "Ladder": "laws",
    "SharedIntercept": "laws",
    "SizeAndTokens": "laws",
    "Sloth": "laws",
    "priors": "laws",
    "BestMixture": "mixtures",
    "best_mixture": "mixtures",
    "Observations": "observations",
    "ObservationsError": "observations",
    "Fit": "posterior",
    "load": "posterior",
    "joint_log_score": "prediction",
    "log_score": "prediction",
    "posterior_predictive": "prediction",
    "predict": "prediction",
    "predictive_draws": "prediction",
    "summary": "prediction",
    "prior_predictive": "simulation",
    "simulate": "simulation",
}

__all__ = [
    "Average",
    "BestMixture",
    "FamilyIntercept",
    "Fit",
    "Flp",
    "FlpM",
    "Ladder",
    "Observations",
    "ObservationsError",
    "SharedIntercept",
    "SizeAndTokens",
    "Sloth",
    "__version__",
    "average",
    "best_mixture",
    "condition",
    "datasets",
    "fit",
    "joint_log_score",
    "load",
    "log_score",
    "posterior_predictive",
    "predict",
    "predictive_draws",
    "prior_predictive",
    "priors",
    "simulate",
    "summary",
]


def __getattr__(name: str) -> Any:
    if name == "datasets":
        return importlib.import_module("scalebayes.datasets")
    if name not in _HOME:
        raise AttributeError(f"module 'scalebayes' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"scalebayes.{_HOME[name]}"), name)
    globals()[name] = value
    return value
