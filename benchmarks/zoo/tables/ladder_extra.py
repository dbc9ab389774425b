"""The ladder's runs of half the smallest multiple of tokens, from the sixteen others.

Data from https://github.com/allenai/OLMo-ladder, Apache-2.0.
"""

import pandas as pd

import scalebayes as sb
from benchmarks.ladder_protocol import LAWS, TARGETS
from benchmarks.runs import use_data
from benchmarks.zoo.table import Table
from scalebayes.data.folds import Fold

ROLE = "development"


def table() -> Table:
    rows = pd.read_csv(use_data("olmo_ladder") / "extra_runs.csv").rename(columns={"run": "model"})
    small = sb.datasets.olmo_ladder().without(models=TARGETS)
    facts = small.scores.drop_duplicates("benchmark").set_index("benchmark")
    [family] = small.families
    scores = rows.rename(columns={"task": "benchmark", "accuracy": "score"})
    scores = scores[["model", "benchmark", "score"]].join(
        facts[["n_items", "chance"]], on="benchmark"
    )
    of_tasks = rows.rename(columns={"task": "domain", "task_loss": "loss"}).assign(unit="bits/byte")
    of_c4 = rows.drop_duplicates("model").rename(columns={"c4_loss": "loss"})
    losses = pd.concat([of_tasks, of_c4.assign(domain="c4", unit="nats/token")])
    models = rows.drop_duplicates("model")[["model", "params", "tokens"]].assign(family=family)
    extra = sb.Observations(models, scores, losses[["model", "domain", "loss", "unit"]])
    observations = sb.Observations.concat(small, extra)
    hidden = tuple(m for m in models["model"] if "0.5xc" in m)
    laws = {f"Ladder, {name} loss": law for name, law in LAWS.items()}
    return Table(observations, [Fold("half a multiple", hidden, "all")], laws)
