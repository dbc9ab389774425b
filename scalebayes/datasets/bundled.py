"""Bundled tables of published scores and losses, with their provenance."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd

from scalebayes.data.observations import Observations
from scalebayes.data.schema import quoted, suggestion

BUNDLED = ("open_llm", "benchmarks", "olmo_ladder")
UNITS = {"params": 1e9, "tokens": 1e12}


def open_llm(*, mixtures: bool = False) -> Observations:
    """Return the scores of public base language models on 13 benchmarks.

    Args:
        mixtures: Whether to include the seven mixture-of-experts models, whose parameter counts
            are not comparable.

    Returns:
        141 models (148 with mixtures), with the number of items and the chance level of each
        benchmark; 21 token counts (25 with mixtures) are unknown.

    References:
        Ruan, Maddison and Hashimoto, Observational Scaling Laws and the Predictability of Language
        Model Performance, 2024. https://arxiv.org/abs/2405.10938. `provenance("open_llm")` has the
        details.
    """
    table = pd.read_csv(str(_bundled("open_llm.csv")))
    if not mixtures:
        table = table[~table["mixture"]]
    facts = benchmark_facts()
    benchmarks = facts["benchmark"].tolist()
    return Observations.from_wide(
        table.drop(columns="mixture"),
        benchmarks=benchmarks,
        units=UNITS,
        chance=dict(zip(benchmarks, facts["chance"], strict=True)),
        items=dict(zip(benchmarks, facts["n_items"], strict=True)),
        scales="trust",
    )


def olmo_ladder(*, checkpoints: bool = False) -> Observations:
    """Return losses and accuracies of the OLMo model ladder: 16 small runs and two large ones.

    Values are means over the last five checkpoints of a small run, and those of the last checkpoint of a large
    run.

    Args:
        checkpoints: Whether to include three earlier checkpoints of each small run, as models of
            the same run.

    Returns:
        18 models of one family (66 with checkpoints), with 8 benchmarks and, as losses, `c4` in
        nats per token and the task loss of each benchmark under its name, in bits per byte.

    References:
        Bhagia et al., Establishing Task Scaling Laws via Compute-Efficient Model Ladders, 2024.
        https://arxiv.org/abs/2412.04403. `provenance("olmo_ladder")` has the details.
    """
    facts = provenance("olmo_ladder")
    benchmarks = list(facts["n_items"])
    table = pd.read_csv(str(_bundled("olmo_ladder.csv"))).sort_values("tokens", kind="stable")
    order = table.groupby("run").cumcount(ascending=False)
    final, earlier = table[order < 5].groupby("run").mean(), table[order >= 5]
    final["tokens"] = table.groupby("run")["tokens"].max()
    final = final.sort_values(["params", "tokens"]).reset_index()
    final["model"] = final["run"]
    if checkpoints:
        billions = (earlier["tokens"] / 1e9).map("{:.1f}B".format)
        final = pd.concat([final, earlier.assign(model=earlier["run"] + " at " + billions)])
    models = final[["model", "run", "params", "tokens"]].assign(family="olmo-ladder")
    scores = final.melt("model", benchmarks, "benchmark", "score")
    for column in ("n_items", "chance"):
        scores[column] = scores["benchmark"].map(facts[column])
    losses = final.melt("model", ["c4", *(f"{b}_loss" for b in benchmarks)], "domain", "loss")
    losses["domain"] = losses["domain"].str.removesuffix("_loss")
    losses["unit"] = np.where(losses["domain"] == "c4", "nats/token", "bits/byte")
    return Observations(models, scores, losses, scales="trust")


def benchmark_facts() -> pd.DataFrame:
    """Return benchmark, n_items and chance of the benchmarks of `open_llm`.

    The chance level of truthfulqa is a convention: `provenance("benchmarks")` says whose.
    """
    return pd.read_csv(str(_bundled("benchmarks.csv")), dtype={"chance": float})


def provenance(name: str) -> dict[str, Any]:
    """Return the sources of a bundled table, its units and its known limitations.

    Raises:
        ValueError: If no bundled table has that name.
    """
    if name not in BUNDLED:
        raise ValueError(
            f"expected the name of a bundled table, {quoted(BUNDLED)}, got {name!r}"
            + suggestion(name, BUNDLED)
        )
    facts: dict[str, Any] = json.loads(_bundled(f"{name}.json").read_text(encoding="utf-8"))
    return facts


def source_of(observations: Observations) -> dict[str, Any] | None:
    """Return the provenance of the bundled table that contains all these scores, or None."""
    key = ["model", "benchmark", "score"]
    asked = pd.MultiIndex.from_frame(observations.scores[key].round(9))
    bundled = {
        "open_llm": open_llm(mixtures=True),
        "olmo_ladder": olmo_ladder(checkpoints=True),
    }
    for name, table in bundled.items():
        if len(asked) and asked.isin(pd.MultiIndex.from_frame(table.scores[key].round(9))).all():
            return provenance(name)
    return None


def _bundled(name: str) -> Any:
    return files("scalebayes.datasets").joinpath(name)
