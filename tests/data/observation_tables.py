"""Small tables that the tests of observations change in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scalebayes.data.observations import Observations, ObservationsError

UNITS = {"params": 1e9, "tokens": 1e12}
HEADER = "model,family,params,tokens,mmlu,arc\n"
ROWS = "a-1,a,1,1,.3,.2\na-2,a,2,2,.4,\nb-1,b,3,,.5,.4\n"


def wide(**columns: Any) -> pd.DataFrame:
    table = {
        "model": ["a-1", "a-2", "b-1"],
        "family": ["a", "a", "b"],
        "params": [1.0, 2.0, 3.0],
        "tokens": [1.0, 2.0, np.nan],
        "mmlu": [0.3, 0.4, 0.5],
        "arc": [0.2, np.nan, 0.4],
    }
    return pd.DataFrame(table | columns)


def from_wide(table: Any, **settings: Any) -> Observations:
    return Observations.from_wide(
        table, **({"benchmarks": ["mmlu", "arc"], "units": UNITS} | settings)
    )


def models(**columns: Any) -> pd.DataFrame:
    table = {"model": ["a-1", "a-2"], "family": ["a", "a"], "params": [1e9, 2e9]}
    return pd.DataFrame(table | {"tokens": [1e12, 2e12]} | columns)


def scores(**columns: Any) -> pd.DataFrame:
    table = {"model": ["a-1", "a-2"], "benchmark": ["mmlu", "mmlu"], "score": [0.3, 0.4]}
    return pd.DataFrame(table | columns)


def losses(**columns: Any) -> pd.DataFrame:
    table = {"model": ["a-1", "a-2"], "domain": ["c4", "c4"], "loss": [3.0, 2.5]}
    return pd.DataFrame(table | {"unit": ["nats/token", "nats/token"]} | columns)


def mixtures(**columns: Any) -> pd.DataFrame:
    table = {"model": ["a-1", "a-1", "a-2"], "source": ["web", "code", "web"]}
    return pd.DataFrame(table | {"weight": [0.75, 0.25, 1.0]} | columns)


def refusal(build: Callable[[], object]) -> str:
    with pytest.raises(ObservationsError) as caught:
        build()
    return str(caught.value)
