"""RegMix: losses of 64 models of 1B parameters from small ones, each trained on another mixture of the Pile.

Seen are the first 64 training models of 1M and the first 32 models of 60M, in the order of the authors' index.
Small models have 1B training tokens, large ones 25B, so that these lie 2.6 decades of FLOPs past the largest seen.
Data from https://github.com/sail-sg/regmix, MIT.
"""

import scalebayes as sb
from benchmarks.runs import use_data
from benchmarks.zoo.table import Table
from scalebayes.data.folds import Fold

ROLE = "development"
SEEN = {"1m-train": 64, "60m-test": 32}
LARGE = "1b-test"


def table() -> Table:
    use_data("regmix")
    observations = sb.datasets.regmix()
    names = observations.models["model"]
    seen = [m for part, n in SEEN.items() for m in names[names.str.startswith(part)][:n]]
    large = names[names.str.startswith(LARGE)].tolist()
    return Table(
        observations.only(models=[*seen, *large]), [Fold("1B", tuple(large))], {"FlpM": sb.FlpM()}
    )


TABLES = {"regmix": table}
