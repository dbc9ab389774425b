"""Sloth's protocol, leaderboard v1, 1 training model(s) a test family."""

from benchmarks.sloth_data import protocol
from benchmarks.zoo.table import Table
from scalebayes.data.folds import Fold

ROLE = "development"


def table() -> Table:
    observations, groups = protocol("v1", 1, joint=False)
    return Table(observations, [Fold(" + ".join(g.families), g.hidden, "all") for g in groups])
