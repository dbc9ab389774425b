"""Columns on two scales: found where they are, on tables simulated and real, and nowhere else."""

from __future__ import annotations

import time

import numpy as np
import pytest

from scalebayes import datasets
from scalebayes.data.scale_curves import raw_scores
from scalebayes.data.scales import hundredths, mixtures, unstated_mixtures
from scalebayes.data.score_checks import ScoreTable

CHANCE = np.array([0.25, 0.5, 0.1, 0.0, 0.3])


def simulated(
    n: int = 100, seed: int = 0, noise: float = 0.01
) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Scores that are logistic in an ability, which grows with size; and log sizes."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(-2, 2, n)
    ability = size + 0.4 * rng.standard_normal(n)
    share = 1 / (1 + np.exp(-(ability[:, None] - np.array([0, 0.5, 0.2, 0.8, -0.3]))))
    scores = CHANCE + (1 - CHANCE) * 0.8 * share + noise * rng.standard_normal(share.shape)
    return np.clip(scores, 0, 1), size[:, None], rng


def normalised(scores: np.ndarray, chance: float) -> np.ndarray:
    return np.round(np.clip((scores - chance) / (1 - chance), 0, 1), 4)


def table_of(observations: datasets.Observations) -> ScoreTable:
    return ScoreTable.of(observations.models, observations.scores)


def test_raw_scores_invert_the_normalisation() -> None:
    raw = np.linspace(0.25, 1, 7)
    np.testing.assert_allclose(raw_scores((raw - 0.25) / 0.75, 0.25), raw, atol=1e-15)


@pytest.mark.parametrize("column", [0, 1, 4])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_mixed_column_is_found_with_its_rows(column: int, share: float) -> None:
    scores, sizes, rng = simulated()
    rows = rng.random(len(scores)) < share
    scores[rows, column] = normalised(scores[rows, column], CHANCE[column])
    [found] = mixtures(scores, CHANCE, sizes)
    assert found.column == column
    assert found.clear
    assert np.mean(found.normalised == rows) > 0.9


def test_rows_normalised_in_all_columns_are_found() -> None:
    scores, sizes, rng = simulated()
    rows = rng.random(len(scores)) < 0.5
    for column, chance in enumerate(CHANCE):
        scores[rows, column] = normalised(scores[rows, column], chance)
    found = mixtures(scores, CHANCE, sizes)
    assert [mixture.column for mixture in found] == [0, 1, 2, 4]
    for mixture in found:
        assert np.mean(mixture.normalised == rows) > 0.8


def test_missing_scores_and_constant_columns_are_borne() -> None:
    scores, sizes, rng = simulated()
    rows = rng.random(len(scores)) < 0.5
    scores[rows, 0] = normalised(scores[rows, 0], 0.25)
    scores[rng.random(scores.shape) < 0.3] = np.nan
    scores[:, 4] = 0.3
    scores[:3] = np.nan  # models without scores
    [found] = mixtures(scores, CHANCE, np.column_stack([sizes, np.full(len(sizes), np.nan)]))
    seen = np.isfinite(scores[:, 0])
    assert found.column == 0
    assert np.mean(found.normalised[seen] == rows[seen]) > 0.9
    assert mixtures(np.full((20, 2), np.nan), CHANCE[:2], np.zeros((20, 0))) == []


@pytest.mark.parametrize("seed", range(10))
def test_one_scale_raises_no_alarm(seed: int) -> None:
    scores, sizes, _ = simulated(seed=seed, noise=0.01 + 0.01 * seed)
    assert mixtures(scores, CHANCE, sizes) == []
    whole = np.column_stack([normalised(s, c) for s, c in zip(scores.T, CHANCE, strict=True)])
    assert [m for m in mixtures(whole, CHANCE, sizes) if m.clear] == []


def test_a_jump_of_the_strong_models_is_no_second_scale() -> None:
    scores, sizes, rng = simulated()
    weak = sizes[:, 0] < 0.8
    scores[:, 0] = np.where(weak, 0.25, 0.55) + 0.01 * rng.standard_normal(len(scores))
    assert [m for m in mixtures(scores, CHANCE, sizes) if m.clear] == []


def test_another_shift_of_some_rows_is_not_clear() -> None:
    scores, sizes, rng = simulated()
    rows = rng.random(len(scores)) < 0.5
    scores[rows, 0] -= 0.05  # another prompt, say
    assert [m for m in mixtures(scores, CHANCE, sizes) if m.clear] == []


@pytest.mark.parametrize(
    "observations",
    [datasets.open_llm, lambda: datasets.open_llm(mixtures=True), datasets.olmo_ladder,
     lambda: datasets.olmo_ladder(checkpoints=True)],
    ids=["open_llm", "with mixtures of experts", "olmo_ladder", "with checkpoints"],
)  # fmt: skip
def test_bundled_tables_raise_no_alarm(observations) -> None:
    table = table_of(observations())
    assert mixtures(table.values, table.chance, table.sizes) == []
    assert hundredths(table.values, table.chance, table.sizes) == {}


def test_power_on_a_leaderboard() -> None:
    table, rng = table_of(datasets.open_llm()), np.random.default_rng(0)
    columns = np.flatnonzero(table.chance > 0)
    right, agreement = 0, []
    for column in columns:
        scores, rows = table.values.copy(), rng.random(len(table.values)) < 0.5
        scores[rows, column] = normalised(scores[rows, column], table.chance[column])
        found = mixtures(scores, table.chance, table.sizes)
        assert {m.column for m in found} <= {column}
        seen = np.isfinite(scores[:, column])
        right += any(m.clear for m in found)
        agreement += [np.mean(m.normalised[seen] == rows[seen]) for m in found]
    assert right >= len(columns) - 1
    assert np.mean(agreement) > 0.95


def test_mixed_columns_without_a_stated_chance_level() -> None:
    unknown = np.full(len(CHANCE), np.nan)
    scores, sizes, rng = simulated()
    assert unstated_mixtures(scores, unknown, sizes) == []
    rows = rng.random(len(scores)) < 0.5
    scores[rows, 0] = normalised(scores[rows, 0], 0.25)
    [(level, found)] = unstated_mixtures(scores, unknown, sizes)
    assert level == 0.25
    assert found.column == 0
    assert np.mean(found.normalised == rows) > 0.9
    assert unstated_mixtures(scores, CHANCE, sizes) == []  # its level is stated


def test_bundled_tables_without_chance_levels_raise_no_alarm() -> None:
    for observations in (datasets.open_llm(), datasets.olmo_ladder(checkpoints=True)):
        table = table_of(observations)
        unknown = np.full(len(table.chance), np.nan)
        assert unstated_mixtures(table.values, unknown, table.sizes) == []


def test_a_large_table_is_quick() -> None:
    scores, sizes, rng = simulated(n=5000)
    rows = rng.random(len(scores)) < 0.5
    scores[rows, 0] = normalised(scores[rows, 0], 0.25)
    started = time.perf_counter()
    found = mixtures(scores, CHANCE, sizes)
    assert time.perf_counter() - started < 3
    assert np.mean(found[0].normalised == rows) > 0.9


def test_fractions_among_percentages_are_found() -> None:
    scores, sizes, rng = simulated()
    for column in (0, 3):  # with a chance level, and without one
        mixed, rows = scores.copy(), rng.random(len(scores)) < 0.3
        mixed[rows, column] /= 100
        found = hundredths(mixed, CHANCE, sizes)
        assert list(found) == [column]
        assert not (found[column] & ~rows).any()
        assert found[column].sum() > 0.8 * rows.sum()
    assert hundredths(scores, CHANCE, sizes) == {}


def test_models_that_fail_to_answer_are_no_fractions() -> None:
    scores, sizes, rng = simulated()
    strong = np.argsort(scores[:, 3])[-2:]
    scores[strong, 3] = 0.004
    weak = scores[:, 3] < 0.1
    scores[weak, 3] = rng.uniform(0.001, 0.01, weak.sum())
    assert hundredths(scores, CHANCE, sizes) == {}
