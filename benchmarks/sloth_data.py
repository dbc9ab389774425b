"""The table of the Sloth paper, read from the data folder, and the paper's protocol.

Test groups and published errors are those of the authors' repository,
https://github.com/felipemaiapolo/sloth at 6dc6bb3.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

import scalebayes as sb
from benchmarks.runs import use_data

V1 = ["MMLU", "ARC", "HellaSwag", "Winogrande", "TruthfulQA", "GSM8K"]
V2 = ["IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO"]
BENCHMARKS = {"v1": V1, "v2": V2, "both": V1 + V2}
EARLIER = {
    ("v1", 1): "llama llama-2 openllama openllamav2 qwen qwen1.5 starcoder yi yi-200k",
    ("v1", 2): "llama qwen starcoder yi",
    ("v2", 1): "gemma llama llama-2 qwen1.5 yi",
    ("v2", 2): "llama yi",
    ("both", 1): "llama llama-2 qwen1.5 yi",
    ("both", 2): "llama yi",
}
"""Lineages that the paper does not test, by leaderboard and number of training models."""

UNTESTED = {"blossom-v5.1", "orca_mini_v7_"}
"""Families of tested lineages that it does not test."""

APART = {"orca_mini_v3_"}
"""Families that it tests apart from their lineage."""

PUBLISHED = {
    ("v1", 1): 4.056,
    ("v1", 2): 4.100,
    ("v2", 1): 2.855,
    ("v2", 2): 3.248,
    ("both", 1): 3.520,
    ("both", 2): 3.964,
}
"""Mean absolute error, in points, of the best of 28 published methods and sizes, chosen after the fact."""

ITEMS = {
    "MMLU": 14042,
    "ARC": 1172,
    "HellaSwag": 10042,
    "Winogrande": 1267,
    "TruthfulQA": 817,
    "GSM8K": 1319,
    "IFEval": 541,
    "BBH": 5761,
    "MATH Lvl 5": 1324,
    "GPQA": 1192,
    "MUSR": 756,
    "MMLU-PRO": 12032,
}


@dataclass(frozen=True)
class Fold:
    """One test group: its families, and the models whose scores are hidden and predicted."""

    families: tuple[str, ...]
    hidden: tuple[str, ...]
    predicted: tuple[str, ...]


def observations(rows: pd.DataFrame, benchmarks: list[str]) -> sb.Observations:
    chance = pd.read_csv(use_data("sloth") / "lower_bounds.csv", index_col="benchmark")[
        "lower_bound"
    ]
    return sb.Observations.from_wide(
        rows,
        benchmarks=benchmarks,
        model="Model",
        family="Family2",
        lineage="Family",
        params="#Params (B)",
        tokens="Pretraining Data Size (T)",
        units={"params": 1e9, "tokens": 1e12},
        chance=chance[benchmarks].to_dict(),
        items={b: ITEMS[b] for b in benchmarks},
        scales="trust",
        extra="ignore",
    )


def protocol(leaderboard: str, n_train: int, joint: bool) -> tuple[sb.Observations, list[Fold]]:
    """The protocol of the paper: its table and its test groups.

    Args:
        leaderboard: v1, v2 or both.
        n_train: Number of the smallest models of a test family that stay in training.
        joint: Train on all rows of both leaderboards. Every row of a test family but its training
            models is hidden then.
    """
    table = pd.read_csv(use_data("sloth") / "data_v2.csv")
    benchmarks = BENCHMARKS[leaderboard]
    size = "#Params (B)"
    whole = table.dropna(subset=[*benchmarks, size, "Pretraining Data Size (T)"])
    whole = whole.sort_values(["Family2", size], kind="stable")
    whole = whole[whole.groupby("Family2")["Model"].transform("count") > n_train]
    predicted = whole[whole.groupby("Family2").cumcount() >= n_train]
    trained_on = table.dropna(subset=[size]) if joint else whole
    has_score = trained_on[V1 + V2].notna().any(axis=1)
    trained_on = trained_on[has_score]
    tested = whole[~whole["Family"].isin(EARLIER[leaderboard, n_train].split())]
    tested = tested[~tested["Family2"].isin(UNTESTED)]
    lineage = tested["Family"].where(~tested["Family2"].isin(APART), tested["Family2"])
    folds = []
    for _, families in tested["Family2"].groupby(lineage).unique().items():
        test = predicted.loc[predicted["Family2"].isin(families), "Model"]
        train = set(whole.loc[whole["Family2"].isin(families), "Model"]) - set(test)
        group = trained_on[trained_on["Family2"].isin(families)]["Model"]
        hidden = [m for m in group if m not in train]
        folds.append(Fold(tuple(families), tuple(hidden), tuple(test)))
    return observations(trained_on, V1 + V2 if joint else benchmarks), folds
