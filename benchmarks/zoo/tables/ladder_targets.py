"""The published protocol of model ladders: 7B and 13B from sixteen runs of 190M to 1.3B."""

import scalebayes as sb
from benchmarks.ladder_protocol import LAWS, TARGETS
from benchmarks.zoo.table import Table
from scalebayes.data.folds import Fold

ROLE = "development"


def table() -> Table:
    observations = sb.datasets.olmo_ladder()
    laws = {f"Ladder, {name} loss": law for name, law in LAWS.items()}
    return Table(observations, [Fold("7B and 13B", tuple(TARGETS), "all")], laws)
