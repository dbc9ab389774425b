"""Pythia and Pythia-deduped, last checkpoints: 6.9B and 12B from 70M to 2.8B.

Data from https://github.com/EleutherAI/pythia, Apache-2.0.
"""

import pandas as pd

import scalebayes as sb
from benchmarks.runs import use_data
from benchmarks.zoo.table import Table
from scalebayes.data.folds import Fold

ROLE = "development"
SMALLEST_LARGE = 5e9


def table() -> Table:
    folder = use_data("pythia")
    rows = pd.read_csv(folder / "scores.csv")
    facts = pd.read_csv(folder / "benchmarks.csv").set_index("benchmark")
    rows = rows.sort_values("tokens").drop_duplicates("run", keep="last")
    observations = sb.Observations.from_wide(
        rows.drop(columns="run"),
        benchmarks=list(facts.index),
        losses={"lambada_openai": ("lambada_loss", "nats/token")},
        chance=facts["chance"].to_dict(),
        items=facts["items"].to_dict(),
        scales="trust",
        extra="ignore",
    )
    hidden = tuple(rows["model"][rows["params"] > SMALLEST_LARGE])
    law = sb.Ladder(feature="lambada_openai")
    return Table(observations, [Fold("6.9B and 12B", hidden)], {"Ladder": law})


TABLES = {"pythia": table}
