"""Models of three corpora: the runs of 1.4B and 6.9B from those under 1e20 FLOPs."""

import scalebayes as sb
from benchmarks.gadre import table as of_the_paper
from benchmarks.runs import use_data
from benchmarks.zoo.table import Table
from scalebayes.data.folds import Fold

ROLE = "development"


def table() -> Table:
    use_data("gadre")
    observations, hidden = of_the_paper()
    fold = Fold("1.4B and 6.9B", tuple(hidden))
    return Table(observations, [fold], {"Ladder": sb.Ladder(feature="c4")})


TABLES = {"gadre": table}
