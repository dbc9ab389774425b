from __future__ import annotations

import doctest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scalebayes.data import covariates as module
from scalebayes.data.covariates import Covariate
from scalebayes.data.observations import Observations, ObservationsError
from scalebayes.data.schema import COLUMNS, columns_of, description_columns, identity_columns

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


def test_covariates_follow_the_standard_columns_in_order_of_declaration() -> None:
    seen = observed(share_code=[1, "0.5", 0])
    assert list(seen.models) == [*STANDARD, "share_code", "arch", "stage"]
    assert seen.models["share_code"].dtype == float
    assert seen.models["share_code"].tolist() == [1.0, 0.5, 0.0]
    assert seen.models["arch"].tolist() == ["moe", "dense", "moe"]
    assert seen.models["stage"].tolist() == ["rl", "base", "base"]
    assert seen.covariates == {
        "share_code": Covariate("share_code", "numeric"),
        "arch": Covariate("arch", "category", ("moe", "dense")),
        "stage": Covariate("stage", "ordered", ("base", "sft", "rl")),
    }
    assert list(seen.covariates) == ["share_code", "arch", "stage"]
    assert list(seen.scores) == list(COLUMNS["scores"])
    seen.covariates.clear()
    assert len(seen.covariates) == 3


def test_columns_of_a_table() -> None:
    assert columns_of("models") == COLUMNS["models"]
    assert columns_of("models", observed().covariates) == tuple(observed().models)
    assert columns_of("losses", observed().covariates) == COLUMNS["losses"]
    own = observed().covariates
    identity = ["model", "family", "params", "tokens"]
    assert identity_columns() == identity
    assert identity_columns(own) == [*identity, "share_code", "arch", "stage"]
    assert description_columns(own) == [*identity, "flops", "share_code", "arch", "stage"]
    assert set(description_columns(own)) <= set(observed().models)


def test_every_form_of_declaration_says_the_same() -> None:
    forms: list[Any] = [
        [
            Covariate("share_code", "numeric"),
            Covariate("arch", "category"),
            Covariate("stage", "ordered", ("base", "sft", "rl")),
        ],
        {"share_code": Covariate("share_code", "numeric"), "arch": "category", "stage": STAGES},
        {"share_code": "numeric", "arch": "category", "stage": tuple(STAGES)},
        observed().covariates,
        tuple(observed().covariates.values()),
    ]
    for form in forms:
        assert Observations(models(), scores(), covariates=form) == observed()


def test_text_of_levels_is_kept() -> None:
    codes = ["007", "1e5", "-0"]
    seen = Observations(models(arch=codes), covariates={**DECLARED, "arch": "category"})
    assert seen.models["arch"].tolist() == codes
    assert seen.covariates["arch"].levels == tuple(codes)
    seen = Observations(models(arch=[1, 2, 1]), covariates=DECLARED)
    assert seen.models["arch"].tolist() == ["1", "2", "1"]
    assert Covariate("arch", "ordered", (1, 2)).levels == ("1", "2")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [False, True], ids=["frame", "file"])
def test_wide_and_long_tables_agree(text: bool, tmp_path: Path) -> None:
    def source(table: pd.DataFrame) -> Any:
        if not text:
            return table
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        table.to_csv(path, index=False)
        return path

    wide = models(mmlu=[0.3, 0.4, 0.5])
    together = models().merge(scores())
    for seen in (
        Observations.from_wide(source(wide), benchmarks=["mmlu"], covariates=DECLARED),
        Observations.from_long(source(models()), source(scores()), covariates=DECLARED),
        Observations.from_long(source(together), covariates=DECLARED),
    ):
        assert seen == observed()


def test_one_long_table_may_not_contradict_itself_in_a_covariate() -> None:
    twice = pd.concat([models().merge(scores()), models(arch="ssm").merge(scores())])
    twice = twice.assign(benchmark=["mmlu"] * 3 + ["arc"] * 3).reset_index(drop=True)
    message = refusal(lambda: Observations.from_long(twice, covariates=DECLARED))
    assert "row 3 (model 'a-1'), column 'arch'" in message
    assert "got 'ssm' here and 'moe' at row 0" in message


def test_wide_and_back() -> None:
    seen = observed()
    again = Observations.from_wide(
        seen.to_wide(),
        benchmarks=seen.benchmarks,
        run="run",
        lineage="lineage",
        flops="flops",
        covariates=seen.covariates,
    )
    assert again == seen


def test_selections_keep_declarations_and_levels() -> None:
    seen = observed()
    left = seen.without(models=["a-2"])
    assert left.covariates == seen.covariates
    assert left.models["arch"].tolist() == ["moe", "moe"]
    assert left == seen.only(models=["a-1", "b-1"])
    assert list(left.models) == list(seen.models)


def test_equality_and_summary_mind_covariates() -> None:
    assert observed() == observed()
    assert observed() != observed(arch=["moe", "dense", "dense"])
    plain = Observations(models().drop(columns=list(DECLARED)), scores())
    assert observed() != plain
    other = {**DECLARED, "stage": ["base", "rl"]}
    assert observed() != Observations(models(), scores(), covariates=other)
    assert repr(observed()).endswith(
        "3 scores on 1 benchmark; 3 covariates: share_code, arch, stage)"
    )
    assert "covariate" not in repr(plain)


# --- other tables of the same models ------------------------------------------------------------


def test_with_tables_replaces_what_is_given() -> None:
    seen = Observations(
        models(),
        scores(),
        pd.DataFrame({"model": ["a-1"], "domain": "c4", "loss": 2.0, "unit": "nats/token"}),
        pd.DataFrame({"model": ["b-1"], "source": "web", "weight": 1.0}),
        covariates=DECLARED,
    )
    assert seen.with_tables() == seen
    fewer = seen.with_tables(scores=seen.scores.iloc[:1])
    assert fewer.scores["model"].tolist() == ["a-1"]
    assert fewer.losses.equals(seen.losses)
    assert fewer.mixtures.equals(seen.mixtures)
    assert fewer.covariates == seen.covariates
    assert seen.with_tables(losses=seen.losses.iloc[:0]).losses.empty
    new = models(model=["c-1", "c-2", "c-3"], arch="dense")
    others = {kind: getattr(seen, kind).iloc[:0] for kind in ("scores", "losses", "mixtures")}
    turned = seen.with_tables(models=new, **others)
    assert turned.models["model"].tolist() == ["c-1", "c-2", "c-3"]
    assert turned.covariates["arch"].levels == ("moe", "dense")
    assert "2.5" in refusal(lambda: seen.with_tables(scores=scores(score=2.5)))
    message = refusal(lambda: seen.with_tables(models=models(arch="ssm")))
    assert "column 'arch'" in message
    assert "one of its levels 'moe', 'dense', got 'ssm'" in message
    message = refusal(lambda: seen.with_tables(models=models().drop(columns="stage")))
    assert "models: expected 1 column 'stage'" in message


def test_concat_joins_the_levels_of_categories() -> None:
    whole = observed()
    left, right = whole.only(models="b-1"), whole.without(models="b-1")
    joined = Observations.concat(left, right)
    assert joined.covariates == whole.covariates
    assert joined.models["share_code"].tolist() == [0.0, 0.25, 0.5]
    assert Observations.concat(whole, right) == whole
    new = Observations(
        models(model=["c", "d", "e"], arch=["ssm", "dense", "ssm"]), covariates=DECLARED
    )
    more = Observations.concat(whole, new)
    assert more.covariates["arch"].levels == ("moe", "dense", "ssm")
    assert more.models["arch"].tolist() == ["moe", "dense", "moe", "ssm", "dense", "ssm"]


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


# --- what is refused ----------------------------------------------------------------------------

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
    message = refusal(lambda: Covariate("x", "ordered", "low"))  # type: ignore[arg-type]
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


def test_examples() -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
