"""Conversion of the files of public repositories into the tables that `public` reads.

Each function takes the folder of a repository's files and returns one CSV text per table. Scores,
losses and weights are rounded to six decimals.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from scalebayes.datasets.bundled import benchmark_facts
from scalebayes.datasets.public import SLOTH_BENCHMARKS

LADDER = "src/scripts/paper/data/ladder-runs"
LADDER_PARAMS = {"190M": 190354176, "370M": 371262464, "760M": 758220288, "1B": 1279395840}
LADDER_RUNS = {
    **{
        f"{size}-{times}xC": (f"{size}-{times}xC", "ladder", params)
        for size, params in LADDER_PARAMS.items()
        for times in (1, 2, 5, 10)
    },
    "peteish7_eval_anneal": ("7B-4T", "target", 6887575552),
    "peteish13_eval_final": ("13B-5T", "target", 13202396160),
}
"""File -> run, role, and parameters without embeddings."""
LADDER_TASKS = {
    "mmlu": {
        "mmlu_stem_test": 0.215,
        "mmlu_humanities_test": 0.335,
        "mmlu_social_sciences_test": 0.219,
        "mmlu_other_test": 0.231,
    },
    "hellaswag": {"hellaswag_val": 1.0},
    "arc_challenge": {"arc_challenge_test": 1.0},
    "arc_easy": {"arc_easy_test": 1.0},
    "piqa": {"piqa_val": 1.0},
    "csqa": {"csqa_val": 1.0},
    "socialiqa": {"socialiqa_val": 1.0},
    "openbookqa": {"openbookqa_test": 1.0},
}
"""Task -> its parts, and their weights in its mean."""

GADRE_CORPORA = {"c4_original": "c4", "rpj": "redpajama", "rw_original": "refinedweb"}
GADRE_DOMAINS = {
    "openlm": "openlm",
    "c4_val": "c4",
    "paloma_c4_en": "paloma_c4",
    "paloma_dolma_100_programing_languages": "paloma_code",
    "paloma_falcon-refinedweb": "paloma_refinedweb",
    "paloma_ptb": "paloma_ptb",
    "paloma_redpajama": "paloma_redpajama",
    "de-en": "german_english",
}
"""Folder of validation data -> our name of the domain."""

REGMIX_PARTS = (
    ("1M", 1e6, "train", "1m"),
    ("1M", 1e6, "test", "1m"),
    ("60M", 60e6, "test", "60m"),
    ("1B", 1e9, "test", "1B"),
)
"""Size, parameters, role, and suffix of the file names."""


def sloth(raw: Path) -> list[str]:
    """Return the authors' table unchanged, and the chance levels of its benchmarks."""
    chance = benchmark_facts().set_index("benchmark")["chance"]
    levels = [(column, chance[name]) for column, name in SLOTH_BENCHMARKS.items()]
    return [
        (raw / "data/data_v2.csv").read_text(encoding="utf-8"),
        _csv(pd.DataFrame(levels, columns=["benchmark", "lower_bound"])),
    ]


def olmo_ladder(raw: Path) -> list[str]:
    """Return one row per checkpoint and task: losses in nats per token and bits per byte, and accuracy."""
    parts = []
    for file, (run, role, params) in LADDER_RUNS.items():
        table = pd.read_csv(raw / LADDER / f"{file}.csv")
        if "throughput/total_tokens" in table:
            tokens = table["throughput/total_tokens"]
        else:
            tokens = table["_step"] * table["batch_size_in_tokens"]
        for task, shares in LADDER_TASKS.items():
            parts.append(
                pd.DataFrame(
                    {
                        "run": run,
                        "role": role,
                        "params": params,
                        "tokens": tokens.astype("int64"),
                        "checkpoint": table.index,
                        "task": task,
                        "c4_loss": table["eval/c4_en-validation/CrossEntropyLoss"],
                        "task_loss": _mean(table, "eval/downstream_bpb/{}_rc_5shot_bpb", shares),
                        "accuracy": _mean(table, "eval/downstream/{}_rc_5shot_len_norm", shares),
                    }
                )
            )
    return [_csv(pd.concat(parts))]


def gadre(raw: Path) -> list[str]:
    """Return losses, one row per run and domain, and scores, one row per run and benchmark."""
    data = raw / "exp_data"
    runs, scores = [], []
    for path in sorted((data / "models").glob("*.json")):
        about = _json(path)
        run, settings = about["name"], about["hyperparameters"]
        losses = {r["val_data"][0].split("/")[-2]: r["loss"] for r in about["results"]}
        runs.append(
            {
                "run": run,
                "corpus": GADRE_CORPORA[about["dataset_name"]],
                "params": settings["params"],
                "tokens": settings["tokens"],
                **{GADRE_DOMAINS[folder]: loss for folder, loss in losses.items()},
            }
        )
        evaluated = _json(data / "evals" / f"evaluation_{run}_heavy.json")["eval_metrics"]["icl"]
        scores += [(run, benchmark, score) for benchmark, score in evaluated.items()]
    of_losses = pd.DataFrame(runs).melt(
        ["run", "corpus", "params", "tokens"], var_name="domain", value_name="loss"
    )
    of_scores = pd.DataFrame(scores, columns=["run", "benchmark", "score"])
    facts = pd.read_csv(data / "eval_metadata.csv").set_index("Eval Task")
    of_scores["n_items"] = of_scores["benchmark"].map(facts["#datapoints"])
    of_scores["chance"] = of_scores["benchmark"].map(facts["Random baseline"] / 100)
    return [_csv(of_losses), _csv(of_scores)]


def regmix(raw: Path) -> list[str]:
    """Return one row per model: the weights of its mixture and its losses."""
    parts = {}
    for size, params, role, end in REGMIX_PARTS:
        mixture, loss = (
            pd.read_csv(raw / f"data/{role}_{what}_{end}.csv", index_col="index")
            for what in ("mixture", "pile_loss")
        )
        mixture.columns = mixture.columns.str.replace("train_the_pile_", "weight_")
        loss.columns = "loss_" + loss.columns.str.extract("metric/the_pile_(.*)_val_loss")[0]
        parts[size, params, role] = mixture.join(loss, how="inner", validate="1:1")
    return [_csv(pd.concat(parts, names=["size", "params", "role"]).reset_index())]


def _mean(table: pd.DataFrame, column: str, shares: dict[str, float]) -> pd.Series:
    parts = table[[column.format(part) for part in shares]]
    return parts.mul(list(shares.values())).sum(axis=1, skipna=False)


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _csv(table: pd.DataFrame) -> str:
    return str(table.round(6).to_csv(index=False))
