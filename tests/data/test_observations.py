from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from observation_tables import (
    HEADER,
    ROWS,
    UNITS,
    from_wide,
    losses,
    mixtures,
    models,
    refusal,
    scores,
    wide,
)

from scalebayes.data.observations import Observations, ObservationsError


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write_file(content: str | bytes) -> Path:
        path = tmp_path / "scores.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


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
    percent = table.assign(share_code=[25, np.nan, 0], share_web=[75, np.nan, 100])
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
        setattr(seen, "models", models())  # noqa: B010


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


def test_text_that_looks_like_a_number_stays_text(write: Any) -> None:
    names = ["007", "1e5", "-0.50"]
    content = "model,family,params,benchmark,score\n" + "".join(
        f"{name},1_0,1e9,0{i},0.5\n" for i, name in enumerate(names)
    )
    seen = Observations.from_long(write(content))
    assert seen.models["model"].tolist() == seen.scores["model"].tolist() == names
    assert seen.families == ("1_0",)
    assert seen.benchmarks == ("00", "01", "02")
    again = write(seen.to_wide().to_csv(index=False))
    back = Observations.from_wide(
        again, benchmarks=seen.benchmarks, run="run", lineage="lineage", flops="flops"
    )
    assert back == seen
