from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scalebayes import datasets
from scalebayes.observations import Observations, ObservationsError

MIXTURES = {
    "mixtral-8x7b-v0.1",
    "mixtral-8x22b-v0.1",
    "deepseek-v2",
    "deepseek-coder-v2-base",
    "jamba-v0.1",
    "qwen2-57b-a14b",
    "deepseek-moe-16b-base",
}


def test_open_llm_has_the_published_figures() -> None:
    seen = datasets.open_llm()
    model = seen.models.set_index("model").loc["llama-2-70b"]
    assert (model["params"], model["tokens"], model["family"]) == (70e9, 2e12, "llama-2")
    assert model["flops"] == pytest.approx(6 * 70e9 * 2e12)
    scores = seen.scores[seen.scores["model"] == "llama-2-70b"].set_index("benchmark")
    assert scores.loc["mmlu", ["score", "n_items", "chance"]].tolist() == [0.6983, 14042, 0.25]
    assert scores.loc["mmlu_pro", ["score", "n_items", "chance"]].tolist() == [0.3718, 12032, 0.1]
    assert len(scores) == 13


def test_open_llm_agrees_with_its_description() -> None:
    seen = datasets.open_llm(mixtures=True)
    about = datasets.provenance("open_llm")
    assert len(seen.models) == about["rows"] == 148
    assert seen.benchmarks == tuple(datasets.benchmark_facts()["benchmark"])
    empty = about["empty_cells"]
    assert seen.models["tokens"].isna().sum() == empty["tokens"]
    for benchmark in seen.benchmarks:
        missing = 148 - (seen.scores["benchmark"] == benchmark).sum()
        assert missing == empty.get(benchmark, 0), benchmark


def test_the_two_corrected_cells() -> None:
    models = datasets.open_llm().models.set_index("model")
    assert models.loc["open_llama_7b_v2", "params"] == 7e9
    assert models.loc["btlm-3b-8k-base", "tokens"] == 627e9


def test_mixtures_are_left_out_unless_asked_for() -> None:
    every, dense = datasets.open_llm(mixtures=True), datasets.open_llm()
    assert set(every.models["model"]) - set(dense.models["model"]) == MIXTURES
    assert dense == every.without(models=MIXTURES)


def test_olmo_ladder_has_the_published_figures() -> None:
    seen = datasets.olmo_ladder()
    models = seen.models.set_index("model")
    assert len(models) == 18
    assert models.loc["13b-5t", ["params", "tokens"]].tolist() == [13202396160, 5000088518656]
    scores = seen.scores.set_index(["model", "benchmark"])
    assert scores.loc[("13b-5t", "mmlu"), ["score", "n_items", "chance"]].tolist() == [
        0.51410,
        14042,
        0.25,
    ]
    losses = seen.losses.set_index(["model", "domain"])
    assert losses.loc[("13b-5t", "c4"), ["loss", "unit"]].tolist() == [2.43758, "nats/token"]
    assert losses.loc[("13b-5t", "piqa"), ["loss", "unit"]].tolist() == [0.90104, "bits/byte"]
    # the mean of the last five checkpoints, 3.61178 to 3.60097
    assert losses.loc[("190m-1xc", "c4"), "loss"] == pytest.approx(3.605174)


def test_olmo_ladder_checkpoints_are_of_their_runs() -> None:
    few, many = datasets.olmo_ladder(), datasets.olmo_ladder(checkpoints=True)
    assert len(many.models) == 18 + 3 * 16
    assert many.models["run"].nunique() == 18
    assert many.only(models=few.models["model"]) == few
    assert len(many.scores) == datasets.provenance("olmo_ladder")["rows"] * 8 - 4 * 16 * 8


def test_benchmark_facts() -> None:
    facts = datasets.benchmark_facts()
    assert list(facts) == ["benchmark", "n_items", "chance"]
    assert facts["benchmark"].is_unique
    assert facts["n_items"].ge(1).all()
    assert facts["chance"].between(0, 1, inclusive="left").all()
    # guessing among four answers, two, ten
    chance = facts.set_index("benchmark")["chance"]
    assert chance[["mmlu", "winogrande", "mmlu_pro"]].tolist() == [1 / 4, 1 / 2, 1 / 10]


def test_every_bundled_table_has_its_source() -> None:
    folder = Path(str(files("scalebayes.datasets")))
    tables = {path.stem for path in folder.glob("*.csv")}
    assert tables == {path.stem for path in folder.glob("*.json")} == set(datasets.BUNDLED)
    for name in tables:
        about = datasets.provenance(name)
        rows = pd.read_csv(folder / f"{name}.csv")
        assert len(rows) == about["rows"]
        described = {column for entry in about["columns"] for column in entry.split(", ")}
        assert described == set(rows.columns)
    source = datasets.provenance("open_llm")["sources"][0]
    assert source["licence"] == "Apache-2.0"
    assert source["commit"]
    with pytest.raises(ValueError, match="got 'open_lm'; did you mean 'open_llm'"):
        datasets.provenance("open_lm")


def test_read_finds_a_file_where_it_is_or_in_the_data_folder(
    tmp_path: Path, monkeypatch: Any
) -> None:
    folder = tmp_path / "data"
    (folder / "sloth").mkdir(parents=True)
    path = folder / "sloth" / "table.csv"
    path.write_text('model,score,note\na,0.5,"two\nlines"\nb,,\n')
    expected = pd.DataFrame(
        {"model": ["a", "b"], "score": [0.5, np.nan], "note": ["two\nlines", np.nan]}
    )
    pd.testing.assert_frame_equal(datasets.read(path), expected)
    monkeypatch.setenv("SCALEBAYES_DATA", str(folder))
    pd.testing.assert_frame_equal(datasets.read("sloth/table.csv"), expected)
    assert datasets.read("sloth/table.csv", index_col="model").index.tolist() == ["a", "b"]


def test_observations_find_the_data_folder_too(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "wide.csv").write_text("model,family,params,mmlu\na,f,7,0.5\n")
    monkeypatch.setenv("SCALEBAYES_DATA", str(tmp_path))
    seen = Observations.from_wide(
        "wide.csv", benchmarks=["mmlu"], tokens=None, units={"params": 1e9}
    )
    assert seen.models["params"].tolist() == [7e9]


def test_read_says_where_it_looked(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("SCALEBAYES_DATA", raising=False)
    with pytest.raises(ObservationsError, match=r"'gone\.csv' \(SCALEBAYES_DATA is not set\): set"):
        datasets.read("gone.csv")
    monkeypatch.setenv("SCALEBAYES_DATA", str(tmp_path))
    with pytest.raises(ObservationsError) as caught:
        datasets.read("gone.csv")
    assert f"found none at 'gone.csv', '{tmp_path / 'gone.csv'}': correct the path" in str(
        caught.value
    )


def test_read_refuses_a_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "cut.csv"
    path.write_text("model,mmlu,arc\na,.1,.2\nb,.3")
    with pytest.raises(ObservationsError, match=r"cut\.csv.* 2 in line 3.*truncated"):
        datasets.read(path)
