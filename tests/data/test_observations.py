from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
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


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write_file(content: str | bytes) -> Path:
        path = tmp_path / "scores.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


def refusal(build: Callable[[], object]) -> str:
    with pytest.raises(ObservationsError) as caught:
        build()
    return str(caught.value)


# --- what comes out -----------------------------------------------------------------------------


def test_wide_table_in_counts_with_absent_rows_for_missing_scores() -> None:
    seen = from_wide(wide(), chance={"mmlu": 0.25}, items={"mmlu": 14042})
    assert list(seen.models) == ["model", "run", "family", "lineage", "params", "tokens", "flops"]
    assert seen.models["params"].tolist() == [1e9, 2e9, 3e9]
    np.testing.assert_array_equal(seen.models["tokens"], [1e12, 2e12, np.nan])
    np.testing.assert_array_equal(seen.models["flops"], [6e21, 24e21, np.nan])  # C = 6 N D
    assert seen.models["run"].tolist() == ["a-1", "a-2", "b-1"]
    assert seen.models["lineage"].tolist() == ["a", "a", "b"]
    assert list(seen.scores) == ["model", "benchmark", "score", "n_items", "chance"]
    assert seen.scores["model"].tolist() == ["a-1", "a-2", "b-1", "a-1", "b-1"]
    assert seen.scores["score"].tolist() == [0.3, 0.4, 0.5, 0.2, 0.4]
    np.testing.assert_array_equal(seen.scores["n_items"], [14042] * 3 + [np.nan] * 2)
    np.testing.assert_array_equal(seen.scores["chance"], [0.25] * 3 + [np.nan] * 2)
    assert seen.losses.empty
    assert list(seen.losses) == ["model", "domain", "loss", "unit"]


def test_families_and_benchmarks_keep_their_order() -> None:
    seen = from_wide(wide(), benchmarks=["arc", "mmlu"])
    assert seen.families == ("a", "b")
    assert seen.benchmarks == ("arc", "mmlu")
    # even when the first model left has no score on the first benchmark
    assert seen.only(models=["a-2", "b-1"]).benchmarks == ("arc", "mmlu")


def test_csv_file_gives_what_the_frame_gives(write: Any) -> None:
    assert from_wide(write(HEADER + ROWS)) == from_wide(wide())
    assert from_wide(str(write("\ufeff" + HEADER + "\n" + ROWS))) == from_wide(wide())


def test_columns_of_other_names() -> None:
    table = wide(flops=[6.0, 24.0, 30.0], release=["r", "r", "s"], job=["x", "x", "y"])
    table = table.rename(columns={"model": "Model", "family": "Family", "params": "#Params (B)"})
    seen = from_wide(
        table,
        model="Model",
        family="Family",
        params="#Params (B)",
        flops="flops",
        lineage="release",
        run="job",
        units=UNITS | {"flops": 1e21},
    )
    assert seen.models["flops"].tolist() == [6e21, 24e21, 30e21]
    assert seen.models["lineage"].tolist() == ["r", "r", "s"]
    assert seen.models["run"].tolist() == ["x", "x", "y"]
    table["#Params (B)"] = [0, 1, 2]
    message = refusal(
        lambda: from_wide(
            table,
            model="Model",
            family="Family",
            params="#Params (B)",
            extra="ignore",
        )
    )
    assert "row 0 (model 'a-1'), column '#Params (B)' times 1e+09" in message


def test_percentages_by_their_unit() -> None:
    seen = from_wide(wide(mmlu=[30, 40, 100], arc=[20, 0, 40]), units=UNITS | {"score": 0.01})
    np.testing.assert_allclose(seen.scores["score"], [0.3, 0.4, 1, 0.2, 0, 0.4], rtol=1e-12)


def test_a_table_without_tokens_or_scores() -> None:
    table = wide().drop(columns=["tokens", "mmlu", "arc"])
    seen = from_wide(table, benchmarks=[], tokens=None)
    assert seen.models["tokens"].isna().all()
    assert seen.scores.empty
    assert seen.benchmarks == ()


def test_long_tables_and_one_long_table_agree() -> None:
    apart = Observations.from_long(models(), scores(), losses())
    assert apart.domains == ("c4",)
    assert apart == Observations(models(), scores(), losses())
    rows = [models().merge(scores()), models().merge(losses())]
    together = pd.concat(rows, ignore_index=True)
    assert Observations.from_long(together) == apart


def test_mixtures_in_long_tables_apart_and_in_one(write: Any) -> None:
    apart = Observations.from_long(models(), scores(), None, mixtures())
    assert apart == Observations(models(), scores(), mixtures=mixtures())
    assert apart != Observations(models(), scores())
    assert apart.sources == ("web", "code")
    assert apart.mixtures.equals(mixtures())
    assert Observations(models()).sources == ()
    assert list(Observations(models()).mixtures) == ["model", "source", "weight"]
    rows = [models().merge(scores()), models().merge(mixtures())]
    together = pd.concat(rows, ignore_index=True)
    assert Observations.from_long(together) == apart
    assert Observations.from_long(write(together.to_csv(index=False))) == apart


def test_wide_mixtures_of_which_one_is_unknown(write: Any) -> None:
    shares = {"web": "share_web", "code": "share_code"}
    table = wide(share_code=[0.25, np.nan, 0.0], share_web=[0.75, np.nan, 1.0])
    seen = from_wide(table, mixtures=shares)
    assert seen.mixtures.to_numpy().tolist() == [
        ["a-1", "web", 0.75],
        ["b-1", "web", 1.0],
        ["a-1", "code", 0.25],
        ["b-1", "code", 0.0],
    ]
    assert seen.sources == ("web", "code")
    assert seen.scores.equals(from_wide(wide()).scores)
    assert from_wide(write(table.to_csv(index=False)), mixtures=shares) == seen
    percent = table.assign(share_code=[25, None, 0], share_web=[75, None, 100])
    units = UNITS | {"weight": 0.01}
    assert from_wide(percent, mixtures=shares, units=units) == seen


def test_weights_are_kept_as_given_where_rounding_has_moved_their_sum() -> None:
    for weight in (0.249, 0.251):
        seen = Observations(models(), mixtures=mixtures(weight=[0.75, weight, 1.0]))
        assert seen.mixtures["weight"].tolist() == [0.75, weight, 1.0]


def test_mixtures_follow_their_models() -> None:
    whole = Observations(models(), scores(), mixtures=mixtures())
    left, right = whole.only(models="a-1"), whole.without(models="a-1")
    assert left.mixtures["weight"].tolist() == [0.75, 0.25]
    assert right.mixtures.to_numpy().tolist() == [["a-2", "web", 1.0]]
    assert whole.without(benchmarks="mmlu").mixtures.equals(mixtures())
    assert Observations.concat(left, right, whole) == whole
    bare = Observations(models(model=["b-1", "b-2"]))
    assert Observations.concat(bare, whole).mixtures.equals(mixtures())
    assert "2 scores on 1 benchmark; 2 mixtures of 2 sources" in repr(whole)
    assert "source" not in repr(bare)
    taken = whole.mixtures
    taken["weight"] = 0.0
    assert whole.mixtures.equals(mixtures())


def test_one_long_csv_in_billions(write: Any) -> None:
    path = write(
        "model,family,params,benchmark,score,n_items\n"
        "a-1,a,1,mmlu,.3,10\na-1,a,1.0,arc,.2,\na-2,a,2,mmlu,.4,10\n"
    )
    seen = Observations.from_long(path, units={"params": 1e9})
    assert seen.models["params"].tolist() == [1e9, 2e9]
    assert seen.benchmarks == ("mmlu", "arc")
    np.testing.assert_array_equal(seen.scores["n_items"], [10, np.nan, 10])


def test_selections_keep_or_drop_models_with_their_scores_and_losses() -> None:
    seen = Observations(models(), scores(), losses())
    left = seen.without(models=["a-1"])
    assert left.models["model"].tolist() == ["a-2"]
    assert left.scores["model"].tolist() == left.losses["model"].tolist() == ["a-2"]
    assert left == seen.only(models="a-2")
    other = from_wide(wide())
    assert other.only(families=["a"]) == other.without(families="b")
    assert other.only(benchmarks="arc") == other.without(benchmarks=["mmlu"])
    assert len(other.only(benchmarks="arc").models) == 3
    assert seen.without(domains="c4").losses.empty


def test_concat_joins_what_was_taken_apart() -> None:
    whole = from_wide(wide())
    parts = whole.only(families="a"), whole.without(models="a-2")
    joined = Observations.concat(*parts)
    assert joined.models.equals(whole.models)
    order = ["benchmark", "model"]
    pd.testing.assert_frame_equal(
        joined.scores.sort_values(order, ignore_index=True),
        whole.scores.sort_values(order, ignore_index=True),
    )
    assert Observations.concat(whole) == whole
    assert Observations.concat(whole, Observations(models(model=["c", "d"]))).benchmarks == (
        "mmlu",
        "arc",
    )


def test_wide_and_back() -> None:
    seen = from_wide(wide())
    again = Observations.from_wide(
        seen.to_wide(), benchmarks=seen.benchmarks, run="run", lineage="lineage", flops="flops"
    )
    assert again == seen


def test_frozen() -> None:
    given = wide()
    seen = from_wide(given)
    given.loc[0, "mmlu"] = 0.9
    taken = seen.models
    taken.loc[0, "params"] = 0.0
    assert seen == from_wide(wide())
    with pytest.raises(AttributeError):
        seen.models = models()  # type: ignore[misc]


def test_equality_minds_every_cell() -> None:
    assert from_wide(wide()) != from_wide(wide(mmlu=[0.3, 0.4, 0.51]))
    assert from_wide(wide()) != "a table"


def test_one_line_summary() -> None:
    expected = (
        "Observations(3 models of 2 families; 5 scores on 2 benchmarks; tokens unknown for 1)"
    )
    assert repr(from_wide(wide())) == expected
    assert "2 losses on 1 domain" in repr(Observations(models(), losses=losses()))


def test_blanks_around_names_and_spelt_out_blanks_in_numbers() -> None:
    seen = from_wide(wide(model=[" a-1", "a-2 ", "b-1"], tokens=["1", "2.0", "n/a"]))
    assert seen == from_wide(wide())


# --- what is refused, and how it is said --------------------------------------------------------

BAD_WIDE = {
    "percentage": (
        {"mmlu": [0.3, 57.0, 0.5]},
        {},
        ["row 1 (model 'a-2'), column 'mmlu'", "[0, 1], got 57", "percentage, divide by 100"],
    ),
    "negative score": (
        {"arc": [-0.1, 0.2, 0.3]},
        {},
        ["row 0 (model 'a-1'), column 'arc'", "got -0.1", "leave it empty if the score is missing"],
    ),
    "infinite score": (
        {"mmlu": [np.inf, 0.4, 0.5]},
        {},
        ["row 0 (model 'a-1'), column 'mmlu'", "must be finite, got inf", "give the number"],
    ),
    "zero params": (
        {"params": [1, 0, 2]},
        {},
        ["row 1 (model 'a-2'), column 'params'", "must be positive, got 0", "correct the cell"],
    ),
    "negative tokens": (
        {"tokens": [1, -2, 2]},
        {},
        ["row 1 (model 'a-2'), column 'tokens'", "must be positive, got -2e+12"],
    ),
    "infinite tokens": (
        {"tokens": [np.inf, 1, 2]},
        {},
        ["row 0 (model 'a-1'), column 'tokens'", "must be finite, got inf"],
    ),
    "params in billions": (
        {},
        {"units": {"tokens": 1e12}},
        ["3 problems", "column 'params'", "got 3: it looks like billions", "{'params': 1e9}"],
    ),
    "tokens in trillions": (
        {},
        {"units": {"params": 1e9}},
        ["2 problems", "column 'tokens'", "got 2: it looks like trillions", "{'tokens': 1e12}"],
    ),
    "unit twice": (
        {"params": [1, 2, 7e9]},
        {},
        ["row 2 (model 'b-1'), column 'params' times 1e+09", "got 7e+18", "counts already?"],
    ),
    "tokens unit twice": (
        {"tokens": [1, 2, 7e12]},
        {},
        ["row 2 (model 'b-1'), column 'tokens' times 1e+12", "got 7e+24", "counts already?"],
    ),
    "empty params": (
        {"params": [1, np.nan, 2]},
        {},
        ["row 1 (model 'a-2'), column 'params'", "must not be empty", "leave the row out"],
    ),
    "text for a number": (
        {"params": ["1", "7B", "2"]},
        {},
        ["row 1 (model 'a-2'), column 'params'", "a number, got '7B'", "write it plain"],
    ),
    "text for a score": (
        {"mmlu": ["0.1", "good", ""]},
        {},
        ["row 1 (model 'a-2'), column 'mmlu'", "a number, got 'good'"],
    ),
    "duplicate model": (
        {"model": ["a-1", "a-2", "a-1"]},
        {},
        ["row 2 (model 'a-1'), column 'model'", "duplicate of row 0", "keep one row"],
    ),
    "empty family": (
        {"family": ["a", " ", "b"]},
        {},
        ["row 1 (model 'a-2'), column 'family'", "must not be empty", "fill it in"],
    ),
    "NaN family": (
        {"family": ["a", np.nan, "b"]},
        {},
        ["row 1 (model 'a-2'), column 'family'", "must not be empty"],
    ),
    "family spelt nan": ({"family": ["a", "nan", "b"]}, {}, ["row 1 (model 'a-2')", "empty"]),
    "NaN model": ({"model": ["a-1", None, "b-1"]}, {}, ["row 1, column 'model'", "not be empty"]),
    "unknown columns": (
        {"date": "2024", "elo": 1000},
        {},
        ["got 'date', 'elo'", "benchmarks=[...]", "extra='ignore'"],
    ),
    "no items": (
        {},
        {"items": {"mmlu": 0}},
        ["row 0 (model 'a-1', benchmark 'mmlu'), column 'n_items'", "at least 1, got 0", "unknown"],
    ),
    "chance of one": (
        {},
        {"chance": {"mmlu": 1.0}},
        ["benchmark 'mmlu'), column 'chance'", "[0, 1), got 1", "give a fraction"],
    ),
    "unknown benchmark in chance": (
        {},
        {"chance": {"mlu": 0.25}},
        ["chance= must name benchmarks of the table, got 'mlu'", "did you mean 'mmlu'?"],
    ),
    "unknown benchmark": (
        {},
        {"benchmarks": ["mmlu", "ark"]},
        ["expected 1 column 'ark'", "did you mean 'arc'?"],
    ),
    "benchmark twice": (
        {},
        {"benchmarks": ["mmlu", "arc", "arc"]},
        ["each benchmark once", "got 'arc'", "one purpose"],
    ),
    "unknown unit": ({}, {"units": {"param": 1e9}}, ["got 'param'", "did you mean 'params'?"]),
    "unit of zero": ({}, {"units": {"params": 0}}, ["positive factor, got 0", "1e9 for billions"]),
    "column for two sources": (
        {"share": [1.0, 1.0, 1.0]},
        {"mixtures": {"web": "share", "code": "share"}},
        ["apart from the other columns", "got 'share' twice", "one purpose"],
    ),
    "no such column of weights": (
        {"share": [1.0, 1.0, 1.0]},
        {"mixtures": {"web": "shares"}},
        ["expected 1 column 'shares'", "did you mean 'share'?"],
    ),
    "empty weight beside a filled one": (
        {"web": [0.8, 1.0, 1.0], "code": [np.nan, 0.0, 0.0]},
        {"mixtures": {"web": "web", "code": "code"}},
        ["row 0 (model 'a-1'), column 'code'", "must not be empty", "write 0 for a source"],
    ),
    "weights as percentages": (
        {"web": [0.8, 57.0, 1.0], "code": [0.2, 0.5, 0.0]},
        {"mixtures": {"web": "web", "code": "code"}},
        [
            "row 1 (model 'a-2'), column 'web'",
            "got 57: it looks like a percentage",
            "divide by 100",
        ],
    ),
    "weights that sum to less": (
        {"web": [0.8, 1.0, 1.0], "code": [0.1, 0.0, 0.0]},
        {"mixtures": {"web": "web", "code": "code"}},
        ["row 0 (model 'a-1'), column 'web'", "must sum to one, got 0.9: divide them"],
    ),
    "loss as text": (
        {"c4": ["3.1", "low", "2.9"]},
        {"losses": {"web": ("c4", "nats/token")}},
        ["row 1 (model 'a-2'), column 'c4'", "a number, got 'low'"],
    ),
    "unknown choice of extra": ({}, {"extra": "drop"}, ["'error' or 'ignore', got 'drop'"]),
}


@pytest.mark.parametrize(("columns", "settings", "said"), BAD_WIDE.values(), ids=BAD_WIDE)
def test_bad_wide_table(columns: dict, settings: dict, said: list[str]) -> None:
    message = refusal(lambda: from_wide(wide(**columns), **settings))
    for part in said:
        assert part in message


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


def test_missing_columns_of_a_wide_table_suggest_a_remedy() -> None:
    message = refusal(lambda: from_wide(wide().rename(columns={"params": "Params"})))
    assert "expected 1 column 'params'" in message
    assert "did you mean 'Params'?" in message
    message = refusal(lambda: from_wide(wide().drop(columns="tokens")))
    assert "pass tokens=None if no token count is known" in message


def test_extra_columns_are_ignored_on_request_only() -> None:
    assert from_wide(wide(date="2024"), extra="ignore") == from_wide(wide())
    long = Observations.from_long(models(date="x"), scores(date="x"), extra="ignore")
    assert long == Observations(models(), scores())


def test_a_refused_weight_is_not_refused_for_its_sum_too() -> None:
    for bad in ({"weight": [0.75, 57, 1.0]}, {"source": ["web", "web", "web"]}):
        message = refusal(lambda bad=bad: Observations(models(), mixtures=mixtures(**bad)))
        assert "sum to one" not in message


def test_one_message_for_all_problems() -> None:
    table = wide(mmlu=[30, 40, 50], arc=[10, 20, 30], params=[0, 1, 2], family=["a", "", "b"])
    message = refusal(lambda: from_wide(table))
    assert message.startswith("8 problems:")
    assert message.count("looks like a percentage") == 3
    assert "... and 3 more cells of this kind" in message
    assert "params must be positive" in message
    assert "family must not be empty" in message


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
    assert "got 'a1', which no row bears; did you mean 'a-1'?" in message
    assert "these are known: 'a', 'b'" in refusal(lambda: seen.without(families=["zzz"]))
    assert "at least one model" in refusal(lambda: seen.without(families=["a", "b"]))


# --- files --------------------------------------------------------------------------------------

BAD_FILES = {
    "truncated": (
        HEADER + ROWS + "b-2,b,4,1,.6",
        ["scores.csv: expected 6 fields in every row", "5 in line 5", "is the file truncated?"],
    ),
    "short row": (
        HEADER + "a-1,a,1,1\n" + ROWS[16:],
        ["got 4 in line 2", "correct those lines"],
    ),
    "long rows": (
        HEADER + "a-1,a,1,1,.3,.2,.1\n" * 5,
        ["got 7 in line 2, 7 in line 3, 7 in line 4 (and in 2 more lines)", "correct those lines"],
    ),
    "truncated in quotes": (HEADER + '"a-1,a,1,1,.3,.2\n', ["scores.csv, line 2", "truncated"]),
    "empty": ("", ["scores.csv: expected a header", "got an empty file"]),
    "header only": (HEADER, ["scores.csv: expected at least one model"]),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\xff", ["scores.csv: expected comma-separated UTF-8 text"]),
    "archive": (b"PK\x03\x04\x00\x00,\x00\n", ["scores.csv", "expected"]),
    "semicolons": (
        HEADER.replace(",", ";"),
        ["scores.csv, line 1", "separated by commas, got the single column 'model;family"],
    ),
    "columns twice": ("model,model\na,b\n", ["scores.csv, line 1", "got 'model' more than once"]),
    "percentage": (
        HEADER + "\n" + ROWS.replace(".5,.4", "57,.4"),
        ["scores.csv, line 5 (model 'b-1'), column 'mmlu'", "got 57"],
    ),
    "empty family": (
        HEADER + ROWS.replace(",b,", ",,"),
        ["scores.csv, line 4 (model 'b-1'), column 'family'", "must not be empty"],
    ),
}


@pytest.mark.parametrize(("content", "said"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_file(content: str | bytes, said: list[str], write: Any) -> None:
    path = write(content)
    message = refusal(lambda: from_wide(path))
    for part in said:
        assert part in message


def test_missing_file_says_where_it_was_sought(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.delenv("SCALEBAYES_DATA", raising=False)
    message = refusal(lambda: from_wide("nowhere.csv"))
    assert "found none at 'nowhere.csv'" in message
    assert "set SCALEBAYES_DATA" in message
    assert "name a CSV file inside that folder" in refusal(lambda: from_wide(tmp_path))


def test_wide_tables_carry_losses_with_their_unit() -> None:
    table = pd.DataFrame(
        {
            "model": ["a", "b"],
            "family": "f",
            "params": 1e9,
            "tokens": 1e10,
            "x": 0.5,
            "c4": [3.0, None],
        }
    )
    seen = Observations.from_wide(
        table, benchmarks=["x"], losses={"web": ("c4", "nats/token")}, extra="error"
    )
    assert seen.losses.to_numpy().tolist() == [["a", "web", 3.0, "nats/token"]]
    with pytest.raises(ObservationsError, match="unit of a loss must be one of"):
        Observations.from_wide(table, benchmarks=["x"], losses={"web": ("c4", "nats")})
    with pytest.raises(ObservationsError, match="expected 1 column 'c5'"):
        Observations.from_wide(
            table, benchmarks=["x"], losses={"web": ("c5", "nats/token")}, extra="ignore"
        )
    with pytest.raises(ObservationsError, match="once and apart"):
        Observations.from_wide(
            table, benchmarks=["x"], losses={"web": ("x", "nats/token")}, extra="ignore"
        )
