"""The sixteen small runs of the ladder: each size from the smaller ones."""

import scalebayes as sb
from benchmarks.ladder_protocol import LAWS, TARGETS
from benchmarks.zoo.table import Table
from scalebayes.data.folds import Fold
from scalebayes.prediction.averaging import sizes

ROLE = "development"


def table() -> Table:
    observations = sb.datasets.olmo_ladder().without(models=TARGETS)
    names = [tuple(own) for _, own in sizes(observations)]
    folds = [
        Fold(f"size {n + 1}", tuple(m for own in names[n:] for m in own), "all")
        for n in range(2, len(names))
    ]
    laws = {f"Ladder, {name} loss": law for name, law in LAWS.items()}
    return Table(observations, folds, laws)
