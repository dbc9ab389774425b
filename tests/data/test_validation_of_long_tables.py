from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from observation_tables import from_wide, losses, mixtures, models, refusal, scores, wide

from scalebayes.data.observations import Observations

BAD_LONG = {
    "unknown model": (
        (models(), scores(model=["a-1", "a2"])),
        ["row 1 (model 'a2', benchmark 'mmlu'), column 'model'", "add its row", "mean 'a-2'?"],
    ),
    "loss of an unknown model": (
        (models(), None, losses(model=["a-1", "zzz"])),
        ["row 1 (model 'zzz', domain 'c4'), column 'model'", "add its row"],
    ),
    "duplicate score": (
        (models(), scores(model=["a-1", "a-1"])),
        ["row 1 (model 'a-1', benchmark 'mmlu')", "duplicate of row 0", "keep one score"],
    ),
    "two chance levels": (
        (models(), scores(chance=[0.25, 0.5])),
        ["row 1", "column 'chance'", "one chance, got 0.5 here and 0.25 at row 0", "the same"],
    ),
    "chance on one row only": (
        (models(), scores(chance=[0.25, np.nan])),
        ["row 1", "one chance, got nothing here and 0.25 at row 0"],
    ),
    "empty score": (
        (models(), scores(score=[0.3, np.nan])),
        ["row 1 (model 'a-2', benchmark 'mmlu'), column 'score'", "leave the row out"],
    ),
    "empty benchmark": (
        (models(), scores(benchmark=["mmlu", None])),
        ["row 1 (model 'a-2'), column 'benchmark'", "must not be empty"],
    ),
    "flops in another unit": (
        (models(flops=[386.0, 1e22]),),
        ["row 0 (model 'a-1'), column 'flops'", "got 386", "units={'flops': 1e21}"],
    ),
    "negative flops": ((models(flops=[-1.0, 1e22]),), ["row 0", "flops must be positive, got -1"]),
    "family of two lineages": (
        (models(lineage=["x", "y"]),),
        ["row 1", "family 'a' must have one lineage, got 'y' here and 'x' at row 0"],
    ),
    "run of two families": (
        (models(family=["a", "b"], run=["r", "r"]),),
        ["row 1", "run 'r' must have one family", "name the runs apart"],
    ),
    "negative loss": (
        (models(), None, losses(loss=[-1.0, 2.0])),
        ["row 0 (model 'a-1', domain 'c4'), column 'loss'", "must be positive, got -1"],
    ),
    "duplicate loss": (
        (models(), None, losses(model=["a-1", "a-1"])),
        ["row 1 (model 'a-1', domain 'c4')", "duplicate of row 0", "keep one loss"],
    ),
    "unknown unit of loss": (
        (models(), None, losses(unit=["nats", "nats"])),
        ["column 'unit'", "one of 'nats/token', 'bits/byte', got 'nats'"],
    ),
    "two units of a domain": (
        (models(), None, losses(unit=["nats/token", "bits/byte"])),
        ["row 1", "one unit, got 'bits/byte' here and 'nats/token' at row 0", "apart"],
    ),
    "weights that sum to more": (
        (models(), None, None, mixtures(weight=[0.75, 0.252, 1.0])),
        [
            "row 0 (model 'a-1', source 'web'), column 'weight'",
            "the weights of model 'a-1' must sum to one, got 1.002",
            "divide them by their sum, or add the missing source",
        ],
    ),
    "percentage of a source": (
        (models(), None, None, mixtures(weight=[0.75, 0.25, 57])),
        ["row 2 (model 'a-2', source 'web')", "percentage, divide by 100", "{'weight': 0.01}"],
    ),
    "negative weight": (
        (models(), None, None, mixtures(weight=[1.25, -0.25, 1.0])),
        ["row 1 (model 'a-1', source 'code')", "[0, 1], got -0.25", "share of the tokens"],
    ),
    "infinite weight": (
        (models(), None, None, mixtures(weight=[0.75, 0.25, np.inf])),
        ["row 2 (model 'a-2', source 'web')", "a weight must be finite, got inf"],
    ),
    "empty weight": (
        (models(), None, None, mixtures(weight=[0.75, np.nan, 1.0])),
        ["row 1 (model 'a-1', source 'code'), column 'weight'", "must not be empty: write 0"],
    ),
    "duplicate weight": (
        (models(), None, None, mixtures(source=["web", "web", "web"])),
        ["row 1 (model 'a-1', source 'web')", "duplicate of row 0", "keep one weight"],
    ),
    "mixture of an unknown model": (
        (models(), None, None, mixtures(model=["a-1", "a-1", "a2"])),
        ["row 2 (model 'a2', source 'web'), column 'model'", "add its row", "mean 'a-2'?"],
    ),
    "mixture without weights": (
        (models(), None, None, mixtures().drop(columns="weight")),
        ["mixtures: expected 1 column 'weight'"],
    ),
    "missing column": (
        (models().rename(columns={"family": "Family"}),),
        ["models: expected 1 column 'family'", "did you mean 'Family'?"],
    ),
    "loss without unit": (
        (models(), None, losses().drop(columns="unit")),
        ["losses: expected 1 column 'unit'", "'nats/token' or 'bits/byte'"],
    ),
    "unknown column": ((models(), scores(date="2024")), ["got 'date'", "extra='ignore'"]),
    "no rows": ((models().iloc[:0],), ["at least one model, got a table without rows"]),
    "columns twice": (
        (pd.concat([models(), models()[["params"]]], axis=1),),
        ["each column once, got 'params' more than once"],
    ),
    "not a table": (([1, 2],), ["expected a pandas DataFrame or the path of a CSV file, got list"]),
}


@pytest.mark.parametrize(("tables", "said"), BAD_LONG.values(), ids=BAD_LONG)
def test_bad_long_tables(tables: tuple, said: list[str]) -> None:
    message = refusal(lambda: Observations.from_long(*tables))
    for part in said:
        assert part in message


def test_extra_columns_are_ignored_on_request_only() -> None:
    assert from_wide(wide(date="2024"), extra="ignore") == from_wide(wide())
    long = Observations.from_long(models(date="x"), scores(date="x"), extra="ignore")
    assert long == Observations(models(), scores())


def test_a_refused_weight_is_not_refused_for_its_sum_too() -> None:
    for bad in ({"weight": [0.75, 57, 1.0]}, {"source": ["web", "web", "web"]}):
        message = refusal(partial(Observations, models(), mixtures=mixtures(**bad)))
        assert "sum to one" not in message


def test_contradictions_of_one_long_table_name_both_rows() -> None:
    table = models().merge(scores()).assign(model="a-1", benchmark=["mmlu", "arc"])
    message = refusal(lambda: Observations.from_long(table.assign(params=[7e9, 7e9 + 1])))
    assert "row 1 (model 'a-1'), column 'params'" in message
    assert "got 7000000001 here and 7000000000 at row 0" in message


def test_contradictions_between_parts_are_named() -> None:
    one = Observations(models(), scores(), losses())
    other = Observations(models(params=[1e9, 3e9]))
    message = refusal(lambda: Observations.concat(one, other))
    assert "part 2 (model 'a-2'), column 'params'" in message
    assert "got 3000000000 here and 2000000000 at part 1" in message
    other = Observations(models(), scores(score=[0.3, 0.41]))
    message = refusal(lambda: Observations.concat(one, other))
    assert "part 2 (model 'a-2', benchmark 'mmlu'), column 'score'" in message
    assert "got 0.41 here and 0.4 at part 1" in message
    one = Observations(models(), mixtures=mixtures())
    other = Observations(models(), mixtures=mixtures(weight=[0.5, 0.5, 1.0]))
    message = refusal(lambda: Observations.concat(one, other))
    assert "part 2 (model 'a-1', source 'web'), column 'weight'" in message
    assert "got 0.5 here and 0.75 at part 1" in message
    assert "at least one Observations" in refusal(lambda: Observations.concat())


def test_selections_of_unknown_names() -> None:
    seen = from_wide(wide())
    message = refusal(lambda: seen.only(models="a1"))
    assert "got 'a1', which no row has; did you mean 'a-1'?" in message
    assert "the known names are 'a', 'b'" in refusal(lambda: seen.without(families=["zzz"]))
    assert "at least one model" in refusal(lambda: seen.without(families=["a", "b"]))
