"""A small table of models with covariates, which tests change in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from scalebayes.data.observations import Observations, ObservationsError

STAGES = ["base", "sft", "rl"]
DECLARED = {"share_code": "numeric", "arch": "category", "stage": STAGES}
STANDARD = ["model", "run", "family", "lineage", "params", "tokens", "flops"]


def models(**columns: Any) -> pd.DataFrame:
    table = {
        "model": ["a-1", "a-2", "b-1"],
        "family": ["a", "a", "b"],
        "params": [1e9, 2e9, 3e9],
        "tokens": [1e12, 2e12, 3e12],
        "stage": ["rl", "base", "base"],
        "share_code": [0.25, 0.5, 0.0],
        "arch": ["moe", "dense", "moe"],
    }
    return pd.DataFrame(table | columns)


def scores(**columns: Any) -> pd.DataFrame:
    table = {"model": ["a-1", "a-2", "b-1"], "benchmark": "mmlu", "score": [0.3, 0.4, 0.5]}
    return pd.DataFrame(table | columns)


def observed(**columns: Any) -> Observations:
    return Observations(models(**columns), scores(), covariates=DECLARED)


def refusal(build: Callable[[], object]) -> str:
    with pytest.raises(ObservationsError) as caught:
        build()
    return str(caught.value)
