from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from covariate_tables import DECLARED, STAGES, models, observed, refusal, scores

from scalebayes.data.covariates import Covariate
from scalebayes.data.observations import Observations


def test_concat_refuses_parts_that_differ_in_their_covariates() -> None:
    whole = observed()
    bare = Observations(models().drop(columns=["arch"]), covariates={
        "share_code": "numeric", "stage": STAGES
    })  # fmt: skip
    message = refusal(lambda: Observations.concat(whole, bare))
    assert "part 2: expected the covariate 'arch', which part 1 has" in message
    message = refusal(lambda: Observations.concat(bare, bare, whole))
    assert "part 1: expected the covariate 'arch', which part 3 has" in message
    other = Observations(models(), covariates={**DECLARED, "stage": ["base", "rl"]})
    message = refusal(lambda: Observations.concat(whole, other))
    assert "part 2: expected the covariate 'stage' to be ordered" in message
    assert "'base', 'sft', 'rl', as in part 1, got ordered with levels 'base', 'rl'" in message
    other = Observations(
        models(share_code="low"), covariates={**DECLARED, "share_code": "category"}
    )
    message = refusal(lambda: Observations.concat(whole, other))
    assert "'share_code' to be numeric, as in part 1, got category" in message
    message = refusal(lambda: Observations.concat(whole, observed(share_code=[0.25, 0.6, 0.0])))
    assert "part 2 (model 'a-2'), column 'share_code'" in message
    assert "got 0.6 here and 0.5 at part 1" in message


BAD_CELLS = {
    "empty number": (
        {"share_code": [0.1, np.nan, 0.2]},
        ["row 1 (model 'a-2'), column 'share_code'", "must not be empty", "leave the model out"],
    ),
    "empty category": (
        {"arch": ["moe", "", "moe"]},
        ["row 1 (model 'a-2'), column 'arch'", "must not be empty: give the value of every model"],
    ),
    "category spelt none": (
        {"arch": ["moe", "none", "moe"]},
        ["row 1 (model 'a-2'), column 'arch'", "must not be empty", "none count as empty"],
    ),
    "infinite": (
        {"share_code": [0.1, np.inf, 0.2]},
        ["row 1 (model 'a-2'), column 'share_code'", "must be finite, got inf"],
    ),
    "text for a number": (
        {"share_code": [0.1, "much", 0.2]},
        [
            "row 1 (model 'a-2'), column 'share_code'",
            "must be a number, got 'much'",
            "declare 'share_code' as 'category'",
        ],
    ),
    "misspelt level": (
        {"stage": ["base", "Bace", "rl"]},
        [
            "row 1 (model 'a-2'), column 'stage'",
            "one of its levels 'base', 'sft', 'rl', got 'Bace'; did you mean 'base'?",
        ],
    ),
    "unknown level": (
        {"stage": ["base", "zzz", "rl"]},
        ["got 'zzz': correct the cell, or add it to the levels"],
    ),
}


@pytest.mark.parametrize(("columns", "said"), BAD_CELLS.values(), ids=BAD_CELLS)
def test_bad_cells(columns: dict[str, Any], said: list[str]) -> None:
    wide = models(**columns).assign(mmlu=0.5)
    for message in (
        refusal(lambda: observed(**columns)),
        refusal(lambda: Observations.from_wide(wide, benchmarks=["mmlu"], covariates=DECLARED)),
    ):
        for part in said:
            assert part in message


def test_a_category_with_levels_of_its_own_refuses_others() -> None:
    own = [Covariate("arch", "category", ("dense", "moe", "ssm"))]
    table = models()[["model", "family", "params", "arch"]]
    assert Observations(table, covariates=own).covariates["arch"] == own[0]
    message = refusal(lambda: Observations(table.assign(arch="mo"), covariates=own))
    assert "did you mean 'moe'?" in message


def test_every_bad_cell_is_counted_with_the_others() -> None:
    message = refusal(lambda: observed(stage="nope", share_code=np.nan, params=0))
    assert message.startswith("9 problems:")


BAD_DECLARATIONS: dict[str, tuple[Any, list[str]]] = {
    "a standard column": (
        {"tokens": "numeric"},
        ["covariate 'tokens'", "standard column", "rename the column"],
    ),
    "a column of another table": ({"weight": "numeric"}, ["covariate 'weight'", "standard column"]),
    "no name": ({" ": "numeric"}, ["expected the name of a column", "got ' '"]),
    "unknown kind": ({"arch": "categry"}, ["got 'categry'; did you mean 'category'?"]),
    "ordered without levels": (
        {"stage": "ordered"},
        ["covariate 'stage'", "got none: list them", "{'stage': ['low', 'high']}"],
    ),
    "levels of a number": (
        [Covariate("arch", "category"), {"share": "numeric"}],
        ["covariates= must map columns to their kinds"],
    ),
    "level twice": ({"stage": ["base", "rl", "base"]}, ["each level once, got 'base'"]),
    "level none": ({"stage": ["none", "rl"]}, ["got 'none', which counts as an empty cell"]),
    "a text": ("arch", ["must map columns to their kinds, got 'arch'"]),
    "a number": ({"arch": 3}, ["expected a kind", "got 3"]),
    "declared twice": (
        [Covariate("arch", "category"), Covariate("arch", "category")],
        ["each column once, got 'arch' more than once"],
    ),
    "under another name": (
        {"architecture": Covariate("arch", "category")},
        ["got 'architecture' for the covariate 'arch'"],
    ),
}


@pytest.mark.parametrize(("given", "said"), BAD_DECLARATIONS.values(), ids=BAD_DECLARATIONS)
def test_bad_declarations(given: Any, said: list[str]) -> None:
    for build in (
        lambda: Observations(models(), covariates=given),
        lambda: Observations.from_long(models(), covariates=given),
        lambda: Observations.from_wide(models(), benchmarks=[], covariates=given),
    ):
        message = refusal(build)
        for part in said:
            assert part in message


def test_declared_levels_suit_their_kind() -> None:
    message = refusal(lambda: Covariate("x", "numeric", ("1",)))
    assert "expected no levels of a numeric covariate, got '1'" in message
    text: Any = "low"
    message = refusal(lambda: Covariate("x", "ordered", text))
    assert "expected a sequence of levels, got the single text 'low'" in message


def test_a_declared_column_must_be_there() -> None:
    table = models().rename(columns={"arch": "Arch"})
    for build in (
        lambda: Observations(table, covariates=DECLARED),
        lambda: Observations.from_long(table, covariates=DECLARED),
        lambda: Observations.from_wide(table, benchmarks=[], covariates=DECLARED),
    ):
        message = refusal(build)
        assert "expected 1 column 'arch'" in message
        assert "did you mean 'Arch'?" in message
    message = refusal(lambda: Observations(models(), covariates={"zzz": "numeric"}))
    assert "add the column, or do not declare the covariate" in message


def test_extra_columns_stay_refused_with_the_remedy() -> None:
    for build in (
        lambda: Observations(models()),
        lambda: Observations.from_long(models()),
        lambda: Observations.from_wide(models(), benchmarks=[]),
    ):
        message = refusal(build)
        assert "got 'stage', 'share_code', 'arch'" in message
        assert "covariates={...}" in message
    # a covariate is one of models only
    message = refusal(lambda: Observations(models(), scores(arch="moe"), covariates=DECLARED))
    assert "scores: expected no columns beyond" in message
    assert "got 'arch'" in message
    assert "covariates=" not in message
    wide = models(mmlu=0.5)
    message = refusal(
        lambda: Observations.from_wide(wide, benchmarks=["mmlu", "share_code"], covariates=DECLARED)
    )
    assert "got 'share_code' twice" in message
