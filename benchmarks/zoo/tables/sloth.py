"""Sloth's published protocol: three leaderboards, with one and with two training models of a test family."""

import functools

from benchmarks.sloth_data import BENCHMARKS, protocol
from benchmarks.zoo.table import Table
from scalebayes.data.folds import Fold

ROLE = "development"


def table(leaderboard: str, n_train: int) -> Table:
    observations, groups = protocol(leaderboard, n_train, joint=False)
    return Table(observations, [Fold(" + ".join(g.families), g.hidden) for g in groups])


TABLES = {
    f"sloth_{leaderboard}_{n_train}": functools.partial(table, leaderboard, n_train)
    for leaderboard in BENCHMARKS
    for n_train in (1, 2)
}
