"""DCLM: runs of 6.9B on training sets of which smaller runs are known, as families; 10 tasks.

Data from https://github.com/mlfoundations/dclm, MIT.
"""

import pandas as pd

import scalebayes as sb
from benchmarks.runs import use_data
from benchmarks.zoo.table import Table
from scalebayes.data.folds import Fold

ROLE = "development"
SMALLEST_LARGE = 5e9
TASKS = (
    "arc_challenge", "arc_easy", "boolq", "hellaswag", "jeopardy", "lambada_openai", "openbook_qa", "piqa",
    "winogrande", "mmlu_fewshot",
)  # fmt: skip


def table() -> Table:
    folder = use_data("dclm")
    rows = pd.read_csv(folder / "scores.csv")
    facts = pd.read_csv(folder / "benchmarks.csv").set_index("benchmark").loc[list(TASKS)]
    large = rows["params"] > SMALLEST_LARGE
    known = set(rows["family"][~large])
    rows = rows[~large | rows["family"].isin(known)]
    observations = sb.Observations.from_wide(
        rows,
        benchmarks=list(TASKS),
        chance=facts["chance"].to_dict(),
        items=facts["items"].to_dict(),
        scales="trust",
        extra="ignore",
    )
    hidden = tuple(rows["model"][rows["params"] > SMALLEST_LARGE])
    return Table(observations, [Fold("6.9B", hidden)])


TABLES = {"dclm": table}
