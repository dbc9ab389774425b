"""Models of three corpora on what `gadre` leaves out: the tasks near chance, and the losses but that on C4.

The runs of 1.4B and 6.9B from those under 1e20 FLOPs, of which none beats chance by ten points on these tasks.
"""

import scalebayes as sb
from benchmarks.gadre import table as of_the_paper
from benchmarks.runs import use_data
from benchmarks.zoo.table import Table
from scalebayes.data.folds import Fold

ROLE = "test"


def table() -> Table:
    use_data("gadre")
    used, hidden = of_the_paper()
    observations = sb.datasets.gadre()
    observations = observations.only(
        benchmarks=[b for b in observations.benchmarks if b not in used.benchmarks],
        domains=[d for d in observations.domains if d not in used.domains],
    )
    fold = Fold("1.4B and 6.9B", tuple(hidden))
    return Table(observations, [fold], {"Ladder": sb.Ladder(feature="paloma_c4")})


TABLES = {"gadre_other": table}
