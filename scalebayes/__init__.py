"""Hierarchical Bayesian scaling laws: how accurate a model not yet trained will be, and how sure.

Names are imported where they are first used, so that `import scalebayes` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from scalebayes.version import __version__

if TYPE_CHECKING:
    from scalebayes import datasets
    from scalebayes.data.observations import Observations, ObservationsError
    from scalebayes.evaluation.comparison import Comparison, compare
    from scalebayes.evaluation.conformal import conformal_prob
    from scalebayes.evaluation.cross_validation import cross_validate
    from scalebayes.evaluation.held_out import held_out
    from scalebayes.evaluation.predictions import HeldOut
    from scalebayes.evaluation.scoring import calibration
    from scalebayes.identifiability.verdicts import Identifiability, identifiability
    from scalebayes.inference.fitting import fit
    from scalebayes.inference.posterior import Fit, load
    from scalebayes.laws import (
        FamilyIntercept,
        Flp,
        FlpM,
        Ladder,
        SharedIntercept,
        SizeAndTokens,
        Sloth,
        priors,
    )
    from scalebayes.planning.allocation import Allocation, allocate
    from scalebayes.planning.budgets import Budget, smallest_budget
    from scalebayes.planning.experiments import next_run
    from scalebayes.planning.mixtures import BestMixture, best_mixture
    from scalebayes.planning.targets import beats, target_map, target_probability
    from scalebayes.prediction.averaging import Average, average, fit_average
    from scalebayes.prediction.conditioning import condition
    from scalebayes.prediction.predict import (
        joint_log_score,
        log_score,
        posterior_predictive,
        predict,
        predictive_draws,
        summary,
    )
    from scalebayes.prediction.simulation import prior_predictive, simulate
    from scalebayes.prediction.trajectories import measured, trajectory, two_steps
    from scalebayes.report import write_report

_HOME = {
    "Allocation": "planning.allocation",
    "allocate": "planning.allocation",
    "Average": "prediction.averaging",
    "average": "prediction.averaging",
    "fit_average": "prediction.averaging",
    "calibration": "evaluation.scoring",
    "conformal_prob": "evaluation.conformal",
    "Comparison": "evaluation.comparison",
    "compare": "evaluation.comparison",
    "condition": "prediction.conditioning",
    "HeldOut": "evaluation.predictions",
    "cross_validate": "evaluation.cross_validation",
    "held_out": "evaluation.held_out",
    "next_run": "planning.experiments",
    "Identifiability": "identifiability.verdicts",
    "identifiability": "identifiability.verdicts",
    "fit": "inference.fitting",
    "FamilyIntercept": "laws",
    "Flp": "laws",
    "FlpM": "laws",
    "Ladder": "laws",
    "SharedIntercept": "laws",
    "SizeAndTokens": "laws",
    "Sloth": "laws",
    "priors": "laws",
    "BestMixture": "planning.mixtures",
    "best_mixture": "planning.mixtures",
    "Observations": "data.observations",
    "ObservationsError": "data.observations",
    "Budget": "planning.budgets",
    "beats": "planning.targets",
    "smallest_budget": "planning.budgets",
    "target_map": "planning.targets",
    "target_probability": "planning.targets",
    "Fit": "inference.posterior",
    "load": "inference.posterior",
    "joint_log_score": "prediction.predict",
    "log_score": "prediction.predict",
    "posterior_predictive": "prediction.predict",
    "predict": "prediction.predict",
    "predictive_draws": "prediction.predict",
    "summary": "prediction.predict",
    "write_report": "report",
    "prior_predictive": "prediction.simulation",
    "simulate": "prediction.simulation",
    "measured": "prediction.trajectories",
    "trajectory": "prediction.trajectories",
    "two_steps": "prediction.trajectories",
}

__all__ = [
    "Allocation",
    "Average",
    "BestMixture",
    "Budget",
    "Comparison",
    "FamilyIntercept",
    "Fit",
    "Flp",
    "FlpM",
    "HeldOut",
    "Identifiability",
    "Ladder",
    "Observations",
    "ObservationsError",
    "SharedIntercept",
    "SizeAndTokens",
    "Sloth",
    "__version__",
    "allocate",
    "average",
    "beats",
    "best_mixture",
    "calibration",
    "compare",
    "condition",
    "conformal_prob",
    "cross_validate",
    "datasets",
    "fit",
    "fit_average",
    "held_out",
    "identifiability",
    "joint_log_score",
    "load",
    "log_score",
    "measured",
    "next_run",
    "posterior_predictive",
    "predict",
    "predictive_draws",
    "prior_predictive",
    "priors",
    "simulate",
    "smallest_budget",
    "summary",
    "target_map",
    "target_probability",
    "trajectory",
    "two_steps",
    "write_report",
]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name == "datasets":
        return importlib.import_module("scalebayes.datasets")
    if name not in _HOME:
        raise AttributeError(f"module 'scalebayes' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"scalebayes.{_HOME[name]}"), name)
    globals()[name] = value
    return value
