"""Decisions before training: targets, budgets, allocation, comparisons of models, next runs, mixtures."""

from scalebayes.planning.allocation import Allocation, allocate
from scalebayes.planning.budgets import Budget, smallest_budget
from scalebayes.planning.experiments import next_run
from scalebayes.planning.mixtures import BestMixture, best_mixture
from scalebayes.planning.targets import beats, target_map, target_probability

__all__ = [
    "Allocation",
    "BestMixture",
    "Budget",
    "allocate",
    "beats",
    "best_mixture",
    "next_run",
    "smallest_budget",
    "target_map",
    "target_probability",
]
