"""Pretrained models of the Open LLM Leaderboard 2: of each family the largest from the smaller ones.

No tokens are known. A family is a model's name without its size. Data from
https://github.com/felipemaiapolo/statistical-scaling-law, MIT.
"""

import numpy as np
import pandas as pd

import scalebayes as sb
from benchmarks.runs import use_data
from benchmarks.zoo.table import Table
from scalebayes.data.folds import Fold

ROLE = "development"
BENCHMARKS = ["ifeval", "bbh", "math_hard", "gpqa", "musr", "mmlu_pro"]
SIZE = r"[-_ ]?\d+(?:\.\d+)?[bBmM](?![a-zA-Z])"


def table() -> Table:
    rows = pd.read_csv(use_data("open_llm_v2") / "scores.csv")
    plain = (rows["type"] == "pretrained") & ~rows["moe"] & ~rows["merged"] & (rows["params"] > 0)
    rows = rows[plain].sort_values("precision").drop_duplicates("model")
    rows["family"] = rows["model"].str.replace(SIZE, "", regex=True)
    rows = rows[rows.groupby("family")["params"].transform("nunique") > 1]
    observations = sb.Observations.from_wide(
        rows[["model", "family", "params", *BENCHMARKS]].assign(tokens=np.nan),
        benchmarks=BENCHMARKS,
        units={"params": 1e9},
        extra="ignore",
    )
    models = observations.models
    largest = models["params"] == models.groupby("family")["params"].transform("max")
    fold = Fold("largest of each family", tuple(models["model"][largest]))
    return Table(observations, [fold])


TABLES = {"open_llm_v2": table}
