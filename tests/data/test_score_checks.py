from __future__ import annotations

import ast
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from observation_tables import refusal

import scalebayes as sb
from scalebayes.data.observations import Observations
from scalebayes.data.score_checks import ScoreWarning

CHANCE = {"gpqa": 0.25, "wino": 0.5, "math": 0.0, "mmlu_pro": 0.1}
BENCHMARKS = list(CHANCE)


def table(n: int = 60) -> pd.DataFrame:
    """Three families of sizes from 0.1 to 100 billion parameters; scores logistic in log size."""
    rng = np.random.default_rng(1)
    size = np.tile(np.geomspace(1e8, 1e11, n // 3), 3)
    ability = np.log10(size / 5e9) + np.repeat([-0.2, 0, 0.3], n // 3)
    rows = {"model": [f"m{i}" for i in range(n)], "family": np.repeat(["a", "b", "c"], n // 3)}
    scores = {
        b: c + (1 - c) * 0.6 / (1 + np.exp(-1.5 * ability)) + 0.003 * rng.standard_normal(n)
        for b, c in CHANCE.items()
    }
    return pd.DataFrame({**rows, "params": size, **scores})


def normalised(scores: pd.Series, chance: float) -> pd.Series:
    return ((scores - chance) / (1 - chance)).clip(0).round(4)


def mixed(column: str = "gpqa", every: int = 2) -> pd.DataFrame:
    rows = table()
    of = rows.index % every == 0
    rows.loc[of, column] = normalised(rows.loc[of, column], CHANCE[column])
    return rows


def throughout(*columns: str) -> pd.DataFrame:
    rows = table()
    for column in columns:
        rows[column] = normalised(rows[column], CHANCE[column])
    return rows


def read(rows: pd.DataFrame, **settings: Any) -> Observations:
    return Observations.from_wide(
        rows, benchmarks=BENCHMARKS, tokens=None, **({"chance": CHANCE} | settings)
    )


def told(rows: pd.DataFrame, **settings: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read(rows, **settings)
    assert all(w.category is ScoreWarning for w in caught)
    return [str(w.message) for w in caught]


def test_right_scores_are_accepted_in_silence() -> None:
    assert told(table()) == []
    assert told(table(), items=dict.fromkeys(BENCHMARKS, 1000)) == []


# --- mixed scales -------------------------------------------------------------------------------


def test_a_mixed_column_is_refused_by_name() -> None:
    message = refusal(lambda: read(mixed()))
    assert message.startswith("scores on 'gpqa': expected one scale, got about 30 of 60 that are")
    assert "(score - 0.25) / (1 - 0.25)" in message
    assert "'m0', 'm2', 'm4' and 27 more" in message
    assert "0.25 + 0.75 * score, or drop them" in message
    assert "wino" not in message


def test_the_remedies_for_a_mixed_column_help() -> None:
    trusted = read(mixed(), scales="trust")
    assert told(mixed(), scales="trust") == []
    found = trusted.normalised_scores()
    assert found["model"].tolist() == table()["model"][::2].tolist()
    assert found["prob"].between(0.5, 1).all()
    raw = trusted.scores
    raw.loc[found.index, "score"] = found["raw"]
    repaired = Observations(trusted.models, raw)
    expected = read(table()).scores["score"]
    np.testing.assert_allclose(repaired.scores["score"], expected, atol=0.03)  # clipped at zero
    assert repaired.normalised_scores().empty
    dropped = Observations(trusted.models, trusted.scores.drop(found.index))
    assert len(dropped.scores) == 4 * 60 - 30


def test_every_way_to_read_a_table_checks_it() -> None:
    trusted = read(mixed(), scales="trust")
    models, scores = trusted.models, trusted.scores
    for build in (
        lambda: Observations(models, scores),
        lambda: Observations.from_long(models, scores),
        lambda: Observations.from_long(models.merge(scores)),
    ):
        assert "got about 30 of 60" in refusal(build)
    assert Observations(models, scores, scales="trust") == trusted
    assert Observations.from_long(models, scores, scales="trust") == trusted
    assert trusted.with_tables(scores=scores) == trusted
    assert trusted.only(benchmarks="gpqa").benchmarks == ("gpqa",)


def test_parts_on_different_scales_are_refused() -> None:
    rows = throughout("gpqa", "wino", "mmlu_pro")
    one = read(table()[::2], scales="trust")
    other = read(rows[1::2], scales="trust")
    message = refusal(lambda: Observations.concat(one, other))
    assert "scores on 'gpqa': expected one scale, got about 30 of 60" in message
    assert "scores on 'wino': expected one scale" in message
    joined = Observations.concat(one, other, scales="trust")
    assert len(joined.scores) == 240
    assert Observations.concat(one, read(table()[1::2])).benchmarks == tuple(BENCHMARKS)


def test_a_doubtful_mixture_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scalebayes.data.scales.CLEAR_GAIN", np.inf)
    [message] = told(mixed())
    assert "got about 30 of 60 that may be normalised by chance" in message


def test_a_mixed_column_without_a_chance_level_is_told_and_the_remedy_checks_it() -> None:
    others = {b: c for b, c in CHANCE.items() if b != "gpqa"}
    assert told(table(), chance=others) == []
    [message] = told(mixed(), chance=others)
    assert (
        "scores on 'gpqa': about 30 of 60 may be normalised by a chance level near 0.25" in message
    )
    remedy = re.search(r"chance=(\{.*?\})", message)
    assert remedy is not None
    stated = others | ast.literal_eval(remedy[1])
    assert "about 30 of 60 that are" in refusal(lambda: read(mixed(), chance=stated))


def test_fractions_in_a_column_of_percentages_are_refused() -> None:
    rows = table()
    rows[BENCHMARKS] *= 100
    rows.loc[::3, "wino"] /= 100
    settings = {"units": {"score": 0.01}}
    message = refusal(lambda: read(rows, **settings))
    assert "scores on 'wino': expected one unit, got 20 of 60" in message
    assert "those of 'm0', 'm3', 'm6' and 17 more; multiply these by 100" in message
    rows.loc[::3, "wino"] *= 100
    np.testing.assert_allclose(
        read(rows, **settings).scores["score"], read(table()).scores["score"]
    )


def test_a_column_of_fractions_taken_for_percent_is_told() -> None:
    rows = table().assign(math=table()["math"] / 100)
    [message] = told(rows)
    assert "scores on 'math': all 60 are at most 0.01" in message
    assert "units={'math': 1}" in message


# --- chance levels ------------------------------------------------------------------------------


def test_columns_normalised_throughout_are_refused_and_chance_zero_is_right() -> None:
    rows = throughout("gpqa", "wino", "mmlu_pro")
    message = refusal(lambda: read(rows))
    assert "of 60 on 'gpqa' (chance 0.25, lowest 0" in message
    assert "of 60 on 'wino' (chance 0.5, lowest 0" in message
    assert "and likewise for 'mmlu_pro' if normalised too" in message
    remedy = re.search(r"pass chance=(\{.*?\})", message)
    assert remedy is not None
    zero = ast.literal_eval(remedy[1])
    assert zero == {"gpqa": 0, "wino": 0}
    assert len(told(rows, chance=CHANCE | zero)) == 1  # mmlu_pro still has a chance level
    assert told(rows, chance=CHANCE | zero | {"mmlu_pro": 0}) == []
    assert told(rows, scales="trust") == []


def below(lowest: float, count: int = 3) -> pd.DataFrame:
    rows = table()
    rows.loc[: count - 1, "gpqa"] = np.linspace(lowest, lowest + 0.02, count)
    return rows


def test_scores_below_chance_are_told() -> None:
    [message] = told(below(0.15))
    assert message.startswith(
        "scores on 'gpqa': those of 3 of 60 models are clearly below the chance level 0.25, the lowest at 0.15 "
        "(model 'm0')"
    )
    for reason in ("another metric", "normalised by chance", "expected form", "scales='trust'"):
        assert reason in message
    assert told(below(0.15), scales="trust") == []


def test_what_is_clearly_below_depends_on_the_number_of_items() -> None:
    # with 60 models and n items the margin is 4.15 sqrt(0.25 0.75 / n)
    assert told(below(0.201)) == []  # within 0.05, and the items are unknown
    assert len(told(below(0.199))) == 1
    assert told(below(0.199), items={"gpqa": 448}) == []  # within 0.085
    assert len(told(below(0.224), items={"gpqa": 14042})) == 1  # beyond 0.015
    assert told(below(0.226), items={"gpqa": 14042}) == []  # some letter is the answer to as few


def test_models_that_guess_raise_few_false_alarms() -> None:
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(100):
        rows = pd.DataFrame(
            {
                "model": [f"m{i}" for i in range(50)],
                "family": "a",
                "params": np.geomspace(1e8, 1e11, 50),
            }
        )
        rows["gpqa"] = rng.binomial(448, 0.25, 50) / 448
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            Observations.from_wide(
                rows, benchmarks=["gpqa"], tokens=None, chance={"gpqa": 0.25}, items={"gpqa": 448}
            )
        alarms += len(caught)
    assert alarms <= 1


def test_a_chance_level_stated_wrongly_is_told() -> None:
    rows = table().assign(gpqa=0.2 + 0.1 * table()["gpqa"])
    [message] = told(rows, chance={"gpqa": 0.4})
    assert "clearly below the chance level 0.4" in message


def test_warnings_point_at_the_caller() -> None:
    trusted = read(below(0.15), scales="trust")
    models, scores = trusted.models, trusted.scores
    for build in (
        lambda: Observations(models, scores),
        lambda: Observations.from_long(models, scores),
        lambda: Observations.from_long(models.merge(scores)),
        lambda: Observations.from_wide(
            below(0.15), benchmarks=BENCHMARKS, tokens=None, chance=CHANCE
        ),
    ):
        with pytest.warns(ScoreWarning, match="'gpqa'") as caught:
            build()
        assert [w.filename for w in caught] == [__file__]


def test_the_choice_of_scales() -> None:
    assert "scales must be 'check' or 'trust', got 'yes'" in refusal(
        lambda: read(table(), scales="yes")
    )


def test_bundled_tables_load_in_silence() -> None:
    for load in (sb.datasets.open_llm, sb.datasets.olmo_ladder):
        load()
        load(**{"mixtures" if load is sb.datasets.open_llm else "checkpoints": True})


def test_the_warning_is_public() -> None:
    assert sb.ScoreWarning is ScoreWarning
