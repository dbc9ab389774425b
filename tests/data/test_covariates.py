from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from covariate_tables import DECLARED, STAGES, STANDARD, models, observed, refusal, scores

from scalebayes.data.covariates import Covariate
from scalebayes.data.observations import Observations
from scalebayes.data.schema import COLUMNS, columns_of, description_columns, identity_columns


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
    numbers: Any = (1, 2)
    assert Covariate("arch", "ordered", numbers).levels == ("1", "2")


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
