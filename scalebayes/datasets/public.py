"""Readers of larger public tables in the data folder, where `scalebayes data get` puts them."""

from __future__ import annotations

import pandas as pd

from scalebayes.data.csv_files import locate, read
from scalebayes.data.observations import Observations
from scalebayes.data.schema import identity_columns
from scalebayes.data.validation import ObservationsError
from scalebayes.datasets.bundled import UNITS, benchmark_facts, provenance

SLOTH_BENCHMARKS = {
    "MMLU": "mmlu",
    "ARC": "arc_challenge",
    "HellaSwag": "hellaswag",
    "Winogrande": "winogrande",
    "TruthfulQA": "truthfulqa",
    "GSM8K": "gsm8k",
    "IFEval": "ifeval",
    "BBH": "bbh",
    "MATH Lvl 5": "math_hard",
    "GPQA": "gpqa",
    "MUSR": "musr",
    "MMLU-PRO": "mmlu_pro",
}
"""Column of Sloth's table -> our name of the benchmark."""

REGMIX_TOKENS = {"1M": 1e9, "60M": 1e9, "1B": 25e9}
"""Training tokens of the models of each size."""


def sloth() -> Observations:
    """Return scores of base and instruction-tuned models on the benchmarks of two leaderboards.

    Reads `sloth/data_v2.csv`, the authors' own table.

    Returns:
        188 models of 68 families and 12 benchmarks, named as in `benchmark_facts`. Base and tuned models
        are different families of one lineage. 13 token counts are unknown.

    Raises:
        ObservationsError: If the file is missing; the message says where it was expected.

    References:
        Maia Polo et al., Sloth: scaling laws for LLM skills to predict multi-benchmark performance
        across families, 2024. https://arxiv.org/abs/2412.06540. Figures from
        https://github.com/felipemaiapolo/sloth, MIT licence.
    """
    table = _read("sloth/data_v2.csv").rename(columns=SLOTH_BENCHMARKS)
    facts = benchmark_facts()
    facts = facts[facts["benchmark"].isin(SLOTH_BENCHMARKS.values())]
    return Observations.from_wide(
        table,
        benchmarks=list(SLOTH_BENCHMARKS.values()),
        model="Model",
        family="Family2",
        lineage="Family",
        params="#Params (B)",
        tokens="Pretraining Data Size (T)",
        units=UNITS,
        chance=dict(zip(facts["benchmark"], facts["chance"], strict=True)),
        items=dict(zip(facts["benchmark"], facts["n_items"], strict=True)),
        scales="trust",
        extra="ignore",
    )


def gadre() -> Observations:
    """Return losses and benchmark scores of models trained on three corpora, many of them overtrained.

    Reads `gadre/losses.csv` (run, corpus, params, tokens, domain, loss) and `gadre/scores.csv` (run,
    benchmark, score, n_items, chance).

    Returns:
        104 models of 11M to 6.9B parameters, embeddings included, named as the authors named their
        runs, with the corpus as family; losses on 8 domains in nats per token and scores on 46 benchmarks.

    Raises:
        ObservationsError: If a file is missing; the message says where it was expected.

    References:
        Gadre et al., Language models scale reliably with over-training and on downstream tasks, 2024.
        https://arxiv.org/abs/2403.08540. Data from https://github.com/mlfoundations/scaling,
        MIT licence.
    """
    losses = _read("gadre/losses.csv").rename(columns={"run": "model", "corpus": "family"})
    scores = _read("gadre/scores.csv").rename(columns={"run": "model"})
    models = losses[identity_columns()].drop_duplicates("model")
    return Observations(
        models,
        scores,
        losses[["model", "domain", "loss"]].assign(unit="nats/token"),
        scales="trust",
    )


def regmix() -> Observations:
    """Return losses of small models, each trained on another mixture of 17 parts of the Pile.

    Reads `regmix/mixtures.csv` (size, params, role, index, and a column weight_ a source and loss_ a
    domain). The published weights are rounded to three decimals and sum to 0.996 to 1.003; here each
    model's are divided by their sum.

    Returns:
        1088 models of one family, named by size, role and index, such as `1m-train-17`: 512 of 1M
        parameters in the role `train`, in the role `test` 256 of 1M, 256 of 60M and 64 of 1B; their
        mixtures, and losses on 13 domains in nats per token.

    Raises:
        ObservationsError: If the file is missing; the message says where it was expected.

    References:
        Liu et al., RegMix: Data Mixture as Regression for Language Model Pre-training, 2024.
        https://arxiv.org/abs/2407.01492. Data from https://github.com/sail-sg/regmix, MIT licence.
    """
    table = _read("regmix/mixtures.csv")
    weights, losses = (
        [str(column) for column in table if str(column).startswith(prefix)]
        for prefix in ("weight_", "loss_")
    )
    table[weights] = table[weights].div(table[weights].sum(axis=1), axis=0)
    table["model"] = (table["size"] + "-" + table["role"] + "-").str.lower() + table["index"].map(
        str
    )
    return Observations.from_wide(
        table.assign(family="regmix", tokens=table["size"].map(REGMIX_TOKENS)),
        benchmarks=[],
        losses={column.removeprefix("loss_"): (column, "nats/token") for column in losses},
        mixtures={column.removeprefix("weight_"): column for column in weights},
        extra="ignore",
    )


def olmo_ladder_checkpoints() -> Observations:
    """Return every published checkpoint of the OLMo model ladder and of its two large runs.

    Reads `olmo_ladder/checkpoints.csv` (run, params, tokens, checkpoint, task, c4_loss, task_loss,
    accuracy). `olmo_ladder` has the means over the last checkpoints, and needs no file.

    Returns:
        1579 models of 18 runs and one family, named by run and number of the checkpoint, such as
        `190m-1xc at 36`; 8 benchmarks and, as losses, `c4` in nats per token and the task loss of
        each benchmark under its name, in bits per byte. Missing values have no row.

    Raises:
        ObservationsError: If the file is missing; the message says where it was expected.

    References:
        Bhagia et al., Establishing Task Scaling Laws via Compute-Efficient Model Ladders, 2024.
        https://arxiv.org/abs/2412.04403. Data from https://github.com/allenai/OLMo-ladder,
        Apache-2.0 licence.
    """
    facts = provenance("olmo_ladder")
    table = _read("olmo_ladder/checkpoints.csv").rename(columns={"task": "benchmark"})
    table["run"] = table["run"].str.lower()
    table["model"] = table["run"] + " at " + table["checkpoint"].map(str)
    models = table[["model", "run", "params", "tokens"]].drop_duplicates("model")
    scores = table[["model", "benchmark"]].assign(score=table["accuracy"])
    for column in ("n_items", "chance"):
        scores[column] = scores["benchmark"].map(facts[column])
    of_c4 = table[["model"]].assign(domain="c4", loss=table["c4_loss"], unit="nats/token")
    of_task = table[["model"]].assign(
        domain=table["benchmark"], loss=table["task_loss"], unit="bits/byte"
    )
    return Observations(
        models.assign(family="olmo-ladder"),
        scores.dropna(subset="score"),
        pd.concat([of_c4.drop_duplicates(), of_task]).dropna(subset="loss"),
        scales="trust",
    )


def _read(path: str) -> pd.DataFrame:
    """Read a table of a public data set; the error for a missing table says how to download it."""
    try:
        locate(path)
    except ObservationsError as missing:
        name = path.split("/")[0].replace("_", "-")
        raise ObservationsError(f"{missing}, or run: scalebayes data get {name}") from None
    return read(path)
