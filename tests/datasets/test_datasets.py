from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scalebayes import datasets
from scalebayes.data.observations import Observations, ObservationsError

MIXTURES_OF_EXPERTS = {
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
    assert set(every.models["model"]) - set(dense.models["model"]) == MIXTURES_OF_EXPERTS
    assert dense == every.without(models=MIXTURES_OF_EXPERTS)


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
    described = {path.stem for path in folder.glob("*.json")}
    assert tables == described - {"sources"} == set(datasets.BUNDLED)
    for name in tables:
        about = datasets.provenance(name)
        rows = pd.read_csv(folder / f"{name}.csv")
        assert len(rows) == about["rows"]
        columns = {column for entry in about["columns"] for column in entry.split(", ")}
        assert columns == set(rows.columns)
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
    not_set = r"'gone\.csv', '.+gone\.csv' \(SCALEBAYES_DATA is not set\): set"
    with pytest.raises(ObservationsError, match=not_set):
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


# --- readers of the larger tables ---------------------------------------------------------------


@pytest.fixture
def larger(monkeypatch: Any) -> None:
    """The folder of the larger tables, where this machine has it."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("SCALEBAYES_DATA", beside))
    if not all((folder / name).is_dir() for name in ("sloth", "gadre", "regmix", "olmo_ladder")):
        pytest.skip(f"the larger tables are not in {folder}")
    monkeypatch.setenv("SCALEBAYES_DATA", str(folder))


@pytest.fixture
def write(tmp_path: Path, monkeypatch: Any) -> Any:
    """A small table of the form of a larger one, in a data folder of the test's own."""
    monkeypatch.setenv("SCALEBAYES_DATA", str(tmp_path))

    def write_file(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    return write_file


@pytest.mark.usefixtures("larger")
def test_sloth_has_the_published_figures() -> None:
    seen = datasets.sloth()
    assert (len(seen.models), len(seen.families), len(seen.benchmarks)) == (188, 68, 12)
    model = seen.models.set_index("model").loc["bloom-1b1"]
    assert model[["family", "params", "tokens"]].tolist() == ["bloom", 1e9, 341e9]
    score = seen.scores.set_index(["model", "benchmark"]).loc[("bloom-1b1", "bbh")]
    assert score[["score", "n_items", "chance"]].tolist() == [0.31, 5761, 0.288504]
    lineage = seen.models.set_index("family")["lineage"]
    assert lineage["dolly-v2"].unique().tolist() == lineage["pythia"].unique().tolist()


@pytest.mark.usefixtures("larger")
def test_gadre_has_the_published_figures() -> None:
    seen = datasets.gadre()
    assert (len(seen.models), len(seen.benchmarks), len(seen.domains)) == (104, 46, 8)
    assert (len(seen.scores), len(seen.losses)) == (104 * 46, 104 * 8)
    assert seen.families == ("c4", "redpajama", "refinedweb")
    # models/rw_original-open_lm_7b-1.0.json, evals/ and eval_metadata.csv of the authors
    name = "rw_original-open_lm_7b-1.0"
    model = seen.models.set_index("model").loc[name]
    assert model[["family", "params", "tokens"]].tolist() == [
        "refinedweb",
        6889410560,
        137788211200,
    ]
    assert model["flops"] == pytest.approx(6 * 6.889410560e9 * 1.377882112e11)
    assert (seen.models["flops"] > 0).all()
    score = seen.scores.set_index(["model", "benchmark"]).loc[(name, "agi_eval_lsat_ar")]
    assert score[["score", "n_items", "chance"]].tolist() == [0.191304, 230, 0.25]
    items = seen.scores.drop_duplicates("benchmark").set_index("benchmark")["n_items"]
    assert items["hellaswag"] == 10042
    assert set(seen.losses["unit"]) == {"nats/token"}


@pytest.mark.usefixtures("larger")
def test_regmix_has_the_published_figures() -> None:
    seen = datasets.regmix()
    models = seen.models.set_index("model")
    group = models.index.str.rpartition("-").get_level_values(0)
    assert models.groupby(group).size().to_dict() == {
        "1b-test": 64,
        "1m-test": 256,
        "1m-train": 512,
        "60m-test": 256,
    }
    tokens = models.groupby("params")["tokens"].unique().map(list)
    assert tokens.to_dict() == {1e6: [1e9], 6e7: [1e9], 1e9: [25e9]}
    assert (len(seen.sources), len(seen.domains)) == (17, 13)
    assert set(seen.domains) < set(seen.sources)
    assert len(seen.losses) == 1088 * 13
    assert seen.scores.empty
    # test_mixture_1B.csv and test_pile_loss_1B.csv of the authors, first line
    loss = seen.losses.set_index(["model", "domain"]).loc[("1b-test-0", "arxiv")]
    assert loss.tolist() == [1.772475, "nats/token"]
    weights = seen.mixtures.set_index(["model", "source"])["weight"]
    assert weights["1b-test-0"][["pile_cc", "europarl"]].tolist() == pytest.approx([0.27, 0.0])
    np.testing.assert_allclose(weights.groupby("model").sum(), 1.0, atol=1e-12)


def test_regmix_divides_rounded_weights_by_their_sum(write: Any) -> None:
    write(
        "regmix/mixtures.csv",
        "size,params,role,index,weight_web,weight_code,loss_web\n"
        "1M,1e6,train,17,.75,.247,4.5\n1B,1e9,test,0,1,0,2.5\n",
    )
    seen = datasets.regmix()
    assert seen.models["model"].tolist() == ["1m-train-17", "1b-test-0"]
    np.testing.assert_allclose(
        seen.mixtures["weight"], [0.75 / 0.997, 1.0, 0.247 / 0.997, 0.0], rtol=1e-12
    )
    assert seen.losses["loss"].tolist() == [4.5, 2.5]


@pytest.mark.usefixtures("larger")
def test_olmo_ladder_checkpoints_agree_with_the_bundled_table() -> None:
    every, means = datasets.olmo_ladder_checkpoints(), datasets.olmo_ladder()
    assert len(every.models) == 1579
    assert (every.families, every.benchmarks, every.domains) == (
        means.families,
        means.benchmarks,
        means.domains,
    )
    assert set(every.models["run"]) == set(means.models["run"])
    assert not every.models.duplicated(["run", "tokens"]).any()
    assert every.models.loc[0, ["model", "tokens"]].tolist() == ["190m-1xc at 0", 104857600]
    facts = ["benchmark", "n_items", "chance"]
    assert every.scores[facts].drop_duplicates("benchmark").to_numpy().tolist() == (
        means.scores[facts].drop_duplicates("benchmark").to_numpy().tolist()
    )
    # the bundled values are means over the last five checkpoints of a run, rounded to 1e-5
    last = every.models.sort_values("tokens").groupby("run").tail(5)
    last = last[~last["run"].isin(["7b-4t", "13b-5t"])]
    for kind, key, value in (("scores", "benchmark", "score"), ("losses", "domain", "loss")):
        told = getattr(every, kind).merge(last[["model", "run"]], on="model")
        found = told.groupby(["run", key])[value].mean()
        expected = getattr(means, kind).set_index(["model", key])[value].loc[found.index]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert len(found) == 16 * told[key].nunique()
    units = every.losses.drop_duplicates("domain").set_index("domain")["unit"]
    assert units.to_dict() == {"c4": "nats/token"} | dict.fromkeys(means.benchmarks, "bits/byte")


def test_a_checkpoint_keeps_the_values_that_are_there(write: Any) -> None:
    header = "run,role,params,tokens,checkpoint,task,c4_loss,task_loss,accuracy\n"
    write(
        "olmo_ladder/checkpoints.csv",
        header + "190M-1xC,ladder,190354176,104857600,0,mmlu,6.0,2.5,\n"
        "190M-1xC,ladder,190354176,104857600,0,piqa,6.0,,.55\n"
        "190M-1xC,ladder,190354176,209715200,1,mmlu,,2.4,.25\n",
    )
    seen = datasets.olmo_ladder_checkpoints()
    first, second = "190m-1xc at 0", "190m-1xc at 1"
    assert seen.models["model"].tolist() == [first, second]
    assert seen.scores[["model", "benchmark", "score"]].to_numpy().tolist() == [
        [first, "piqa", 0.55],
        [second, "mmlu", 0.25],
    ]
    assert seen.losses[["model", "domain", "loss"]].to_numpy().tolist() == [
        [first, "c4", 6.0],
        [first, "mmlu", 2.5],
        [second, "mmlu", 2.4],
    ]


@pytest.mark.parametrize(
    ("reader", "name", "sought"),
    [
        ("sloth", "sloth", "sloth/data_v2.csv"),
        ("gadre", "gadre", "gadre/losses.csv"),
        ("regmix", "regmix", "regmix/mixtures.csv"),
        ("olmo_ladder_checkpoints", "olmo-ladder", "olmo_ladder/checkpoints.csv"),
    ],
)
def test_readers_say_which_file_is_missing_and_how_to_get_it(
    reader: str, name: str, sought: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCALEBAYES_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / name)
    with pytest.raises(ObservationsError) as caught:
        getattr(datasets, reader)()
    cached = tmp_path / "scalebayes" / "data" / sought
    assert str(caught.value) == (
        f"expected a CSV file, found none at '{sought}', '{cached}' (SCALEBAYES_DATA is not set): "
        f"set SCALEBAYES_DATA to the folder that holds '{sought}', or run: "
        f"scalebayes data get {name}"
    )
