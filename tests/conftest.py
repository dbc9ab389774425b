"""Small tables and one fit that the tests share."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable
from typing import Any

# of single operations and small programs, of which tests compile thousands; for programs that run long the
# package asks for optimisations
os.environ["XLA_FLAGS"] = " ".join(
    [
        "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false",
        os.environ.get("XLA_FLAGS", ""),
    ]
)

import numpy as np
import pandas as pd
import pytest

import scalebayes as sb
from scalebayes.inference.compilation import use_compilation_cache
from scalebayes.inference.diagnostics import ConvergenceWarning, Verdict
from scalebayes.model.law import Law
from scalebayes.prediction.simulation import simulate

use_compilation_cache()

LONGEST = [
    "comparison",
    "predict",
    "ladder",
    "losses",
    "laws",
    "covariate_effects",
    "own_law",
    "cli",
    "flp",
    "plan",
    "inference",
    "cli_report",
    "cli_plan",
    "report",
    "mixtures",
    "identifiability",
    "likelihoods",
    "docstrings",
    "cli_covariates",
    "docs",
    "scoring",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that two workers end at about the same time."""
    rank = {f"test_{name}": i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


PASSED = Verdict(1.0, 900.0, 900.0, 0, 0, 0.9, ())
"""The verdict of fits whose draws are made by hand, and not judged."""

BENCHMARKS = {"arc": 0.25, "gsm": 0.0, "mmlu": 0.25, "wino": 0.5}


def table(n_family: int = 8, n_size: int = 4, unknown_tokens: bool = False) -> sb.Observations:
    """A full table of models with placeholder scores and losses."""
    rng = np.random.default_rng(0)
    rows = []
    for f in range(n_family):
        tokens = np.exp(rng.normal(27.6, 1.0))
        for s in range(n_size):
            params = 1e9 * 3.0**s * np.exp(rng.normal(0, 0.2))
            rows.append((f"f{f}-{s}", f"f{f}", f"l{f // 2}", params, tokens))
    models = pd.DataFrame(rows, columns=["model", "family", "lineage", "params", "tokens"])
    if unknown_tokens:
        models.loc[models["family"] == "f1", "tokens"] = np.nan
    scores = pd.DataFrame(
        [(m, b, 0.5, 1000, chance) for m in models["model"] for b, chance in BENCHMARKS.items()],
        columns=["model", "benchmark", "score", "n_items", "chance"],
    )
    losses = pd.DataFrame(
        [
            (m, domain, 1.2 * (n / 1e9) ** -0.1, "bits/byte")
            for m, n in zip(models["model"], models["params"], strict=True)
            for domain in (*BENCHMARKS, "c4")
        ],
        columns=["model", "domain", "loss", "unit"],
    )
    mixtures = pd.DataFrame(
        [
            (m, source, weight)
            for m, share in zip(models["model"], rng.dirichlet([1, 1], len(models)), strict=True)
            for source, weight in zip(("c4", "code"), share, strict=True)
        ],
        columns=["model", "source", "weight"],
    )
    return sb.Observations(models, scores, losses, mixtures)


@pytest.fixture(scope="session")
def simulated() -> tuple[sb.Observations, dict[str, np.ndarray]]:
    """A table simulated from the default law, and its truth."""
    return simulate(sb.Sloth(), table(), seed=3)


def fit_quietly(
    law: Law, observations: sb.Observations, *, sampler: sb.Nuts | sb.Staged, **others: Any
) -> sb.Fit:
    """A fit with two chains, too short to converge, and no word about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return sb.fit(law, observations, sampler=_two_chains(sampler), progress=False, **others)


def told(
    call: Callable[[Any], object], fit: Any, category: type[Warning]
) -> list[warnings.WarningMessage]:
    """The warnings of a category that a call on a fit gives."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call(fit)
    return [w for w in found if w.category is category]


def _two_chains(sampler: sb.Nuts | sb.Staged) -> sb.Nuts | sb.Staged:
    if isinstance(sampler, sb.Nuts):
        return dataclasses.replace(sampler, chains=2)
    assert isinstance(sampler.within, sb.Nuts)
    return sb.Staged(dataclasses.replace(sampler.within, chains=2))


HELD_OUT = ["f0-3", "f1-3"]


@pytest.fixture(scope="session")
def fitted(simulated: tuple[sb.Observations, dict[str, np.ndarray]]) -> sb.Fit:
    """The default law fitted to the simulated table without the family f7 and two large models."""
    observations = simulated[0].without(families=["f7"])
    return fit_quietly(
        sb.Sloth(), observations, seed=1, sampler=sb.Nuts(draws=250, warmup=300), hold_out=HELD_OUT
    )
